package dev.freshet.cli;

import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** A temporary directory of a command that starts a cluster: its log, broker records and checkpoints. */
final class WorkDirectory {

    private static final String PROPERTY = "freshet.work";

    private WorkDirectory() {}

    /** Creates the directory and points the log there; must run before anything is logged. */
    static void create() {
        try {
            Path directory = Files.createTempDirectory("freshet-");
            System.setProperty(PROPERTY, directory.toString());
            System.setProperty("freshet.log", directory.resolve("freshet.log").toString());
            System.setProperty("freshet.log.level", "INFO");
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot start: expected a writable temporary directory, got " + e.getMessage() + ". Set TMPDIR.",
                    e);
        }
    }

    /** The directory, made if nobody did. */
    static Path get() {
        if (System.getProperty(PROPERTY) == null) {
            create();
        }
        return Path.of(System.getProperty(PROPERTY));
    }

    /** The log file in it. */
    static Path log() {
        return get().resolve("freshet.log");
    }

    /** Deletes a directory with all it holds, as far as possible. */
    static void delete(Path directory) {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            org.slf4j.LoggerFactory.getLogger(WorkDirectory.class).warn("Cannot delete {}", directory, e);
        }
    }
}
