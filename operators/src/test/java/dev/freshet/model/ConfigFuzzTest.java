package dev.freshet.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.freshet.attention.StateLayout;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;

/** config.json from anywhere: read, or refused with one sentence; what passes has a layout of a size that was checked. */
@Tag("fuzz")
final class ConfigFuzzTest {

    @TempDir
    static Path folder;

    @FuzzTest
    void config(byte[] bytes) throws IOException {
        Path file = folder.resolve("config.json");
        Files.write(file, bytes);
        try {
            ModelConfig config = ConfigReader.open(file).read();
            assertThat(config.contextLength()).isPositive();
            assertThat(new StateLayout(config.specs(config.contextLength())).bytes())
                    .isPositive();
        } catch (ConfigError e) {
            assertThat(e.getMessage()).matches("(?s)Cannot .+expected .+\\.");
        }
    }
}
