package dev.freshet.wire;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The bytes that releases wrote. They are never rewritten; a new schema version adds files, which
 * {@code -Dfreshet.golden.write=true} puts in place where none are.
 */
final class Golden {

    private Golden() {}

    /** Returns a golden file, which in write mode is made from the given bytes when it is missing. */
    static byte[] read(String name, byte[] now) {
        try {
            if (Boolean.getBoolean("freshet.golden.write")) {
                Path file = Path.of("src/test/resources/golden", name);
                if (!Files.exists(file)) {
                    Files.createDirectories(file.getParent());
                    Files.write(file, now);
                }
                return Files.readAllBytes(file);
            }
            try (InputStream in = Golden.class.getResourceAsStream("/golden/" + name)) {
                if (in == null) {
                    throw new AssertionError("No golden file " + name + ". Run with -Dfreshet.golden.write=true.");
                }
                return in.readAllBytes();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
