package dev.freshet.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class WeightsDirectoryTest {

    private static final String FIRST = "model-00001-of-00002.safetensors";
    private static final String SECOND = "model-00002-of-00002.safetensors";

    @TempDir
    Path folder;

    @BeforeEach
    void writeShards() {
        shard(FIRST, "a", 1);
        shard(SECOND, "b", 2);
    }

    private void shard(String file, String tensor, float value) {
        SafetensorsWriter.write(
                folder.resolve(file),
                Map.of(tensor, SafetensorsWriter.Tensor.of(new float[] {value, value}, 2)),
                DType.F32);
    }

    private void index(String json) throws IOException {
        Files.writeString(folder.resolve(WeightsDirectory.INDEX), json);
    }

    private void indexOf(String a, String b) throws IOException {
        index("{\"metadata\":{\"total_size\":16},\"weight_map\":{\"a\":\"" + a + "\",\"b\":\"" + b + "\"}}");
    }

    @Test
    void shardsReadAsOne() throws Exception {
        indexOf(FIRST, SECOND);
        try (WeightsDirectory weights = WeightsDirectory.open(folder)) {
            assertThat(weights.names()).containsExactlyInAnyOrder("a", "b");
            assertThat(weights.floats("a", 2)).containsExactly(1, 1);
            assertThat(weights.floats("b", 2)).containsExactly(2, 2);
            assertThat(weights.info("b").file().getFileName()).hasToString(SECOND);
            assertThat(weights.files()).hasSize(2);
            float[] out = new float[1];
            weights.readFloats("b", 1, out, 0, 1);
            assertThat(out).containsExactly(2);
            assertThatThrownBy(() -> weights.info("c"))
                    .isInstanceOf(ConfigError.class)
                    .hasMessageContaining("tensor c");
        }
    }

    @Test
    void singleFileWinsOverAnIndex() throws Exception {
        indexOf(FIRST, SECOND);
        shard(WeightsDirectory.SINGLE, "a", 7);
        try (WeightsDirectory weights = WeightsDirectory.open(folder)) {
            assertThat(weights.names()).containsExactly("a");
            assertThat(weights.floats("a", 2)).containsExactly(7, 7);
        }
    }

    @Test
    void emptyFolderSaysWhatIsNeeded() throws Exception {
        Path empty = Files.createDirectory(folder.resolve("empty"));
        assertThatThrownBy(() -> WeightsDirectory.open(empty))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("expected model.safetensors or model.safetensors.index.json, got neither");
    }

    @Test
    void missingShardIsNamed() throws Exception {
        indexOf(FIRST, "model-00003-of-00002.safetensors");
        assertThatThrownBy(() -> WeightsDirectory.open(folder))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("expected shard model-00003-of-00002.safetensors");
    }

    @Test
    void tensorInTwoShardsIsRefused() throws Exception {
        shard(SECOND, "a", 2);
        index("{\"weight_map\":{\"a\":\"" + FIRST + "\",\"x\":\"" + SECOND + "\"}}");
        assertThatThrownBy(() -> WeightsDirectory.open(folder))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("tensor a expected in one shard, got it also in " + FIRST);
    }

    @ParameterizedTest
    @CsvSource({FIRST + "," + FIRST + ",b", SECOND + "," + FIRST + ",a"})
    void indexThatNamesTheWrongShardIsRefused(String a, String b, String wrong) throws Exception {
        indexOf(a, b);
        assertThatThrownBy(() -> WeightsDirectory.open(folder))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("tensor " + wrong + " expected in shard");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "../model.safetensors",
                "sub/model.safetensors",
                "/etc/model.safetensors",
                "..\\\\model.safetensors",
                "C:model.safetensors",
                "..",
                "",
                ".safetensors",
                "model.bin",
                "a\\u0000.safetensors"
            })
    void shardOutsideTheFolderIsRefused(String shard) throws Exception {
        indexOf(FIRST, shard);
        assertThatThrownBy(() -> WeightsDirectory.open(folder))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("plain names of .safetensors files");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "[]",
                "{}",
                "{\"weight_map\":{}}",
                "{\"weight_map\":[]}",
                "{\"weight_map\":{\"a\":1}}",
                "{\"weight_map\":{\"a\":\"" + FIRST + "\",\"a\":\"" + SECOND + "\"}}",
                "{\"weight_map\":{\"a\":\"" + FIRST + "\"}",
                "{\"weight_map\":{\"a\":\"" + FIRST + "\"}} x",
                "{\"weight_map\":{\"a\":\"" + FIRST + "\"}} {}"
            })
    void malformedIndexIsRefused(String json) throws Exception {
        index(json);
        assertThatThrownBy(() -> WeightsDirectory.open(folder))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("index expected to")
                .hasMessageContaining(WeightsDirectory.INDEX);
    }

    @Test
    void hugeIndexIsRefusedUnread() throws Exception {
        index(" ".repeat((8 << 20) + 1));
        assertThatThrownBy(() -> WeightsDirectory.open(folder))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("at most 8388608 bytes of index");
    }

    @Test
    void damagedShardIsNamed() throws Exception {
        indexOf(FIRST, SECOND);
        Files.write(folder.resolve(SECOND), new byte[] {1});
        assertThatThrownBy(() -> WeightsDirectory.open(folder))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining(SECOND);
    }
}
