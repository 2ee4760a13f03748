package dev.freshet.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;

/** Weights from anywhere: a file is served or refused with one sentence, and nothing outside it is read. */
@Tag("fuzz")
final class SafetensorsFuzzTest {

    @TempDir
    static Path folder;

    private static void open(byte[] bytes) throws IOException {
        Path file = folder.resolve("model.safetensors");
        Files.write(file, bytes);
        try (SafetensorsFile tensors = SafetensorsFile.open(file)) {
            long sum = 0;
            for (String name : tensors.names()) {
                TensorInfo info = tensors.info(name);
                sum += info.elements() * info.dtype().bytes();
                if (info.dtype().readsAsFloat()) {
                    assertThat(tensors.floats(name, info.shape())).hasSize((int) info.elements());
                }
            }
            assertThat(sum).isLessThanOrEqualTo(bytes.length);
        } catch (ConfigError e) {
            assertThat(e.getMessage()).matches("(?s)Cannot .+expected .+\\.");
        }
    }

    @FuzzTest
    void file(byte[] bytes) throws IOException {
        open(bytes);
    }

    /** The same behind a length that is right: as many data bytes as the first one says follow the header. */
    @FuzzTest
    void header(byte[] bytes) throws IOException {
        if (bytes.length == 0) {
            return;
        }
        String header = new String(Arrays.copyOfRange(bytes, 1, bytes.length), StandardCharsets.ISO_8859_1);
        open(SafetensorsWriter.file(header, new byte[bytes[0] & 0xFF]));
    }
}
