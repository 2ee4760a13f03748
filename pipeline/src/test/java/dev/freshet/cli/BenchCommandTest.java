package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.model.TestModels;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchCommandTest {

    @TempDir
    private Path folder = Path.of("");

    @Test
    void measuresEveryBatchAtEveryDepthBesideTheLimits() throws IOException {
        Path model = TestModels.write(folder.resolve("m"), TestModels.TINY.withKind("softmax"));
        Path json = folder.resolve("result.json");
        Screen screen = new Screen();
        int status = screen.run(
                "bench",
                "--model",
                model.toString(),
                "--batch",
                "1,3",
                "--depth",
                "0,100,4096",
                "--prompt",
                "40",
                "--runs",
                "1",
                "--warm",
                "0",
                "--threads",
                "1",
                "--json",
                json.toString());
        assertThat(screen.err()).isEmpty();
        assertThat(status).isZero();
        JsonNode result = new ObjectMapper().readTree(json.toFile());
        assertThat(result.at("/machine/read_gb_per_s").asDouble()).isPositive();
        assertThat(result.at("/machine/gflop_per_s").asDouble()).isPositive();
        assertThat(result.get("decode").findValuesAsText("batch")).containsExactly("1", "3", "1", "3");
        assertThat(result.get("decode").findValuesAsText("tokens")).containsExactly("0", "0", "100", "100");
        assertThat(result.get("prefill")).hasSize(1);
        for (JsonNode row : result.get("decode")) {
            assertThat(row.get("tokens_per_s").asDouble()).isPositive();
            assertThat(row.get("share_of_limit").asDouble()).isBetween(0.0, 1.5);
        }
        assertThat(screen.out()).contains("depth 4,096 is skipped").contains("of limit");
    }

    @Test
    void comparesPositionsOfAStateOfFixedSize() throws IOException {
        Path model = TestModels.write(folder.resolve("m"), TestModels.TINY.withKind("relu+"));
        Path json = folder.resolve("result.json");
        Screen screen = new Screen();
        int status = screen.run(
                "bench",
                "throughput",
                "--model",
                model.toString(),
                "--batch",
                "1",
                "--prompt",
                "0",
                "--runs",
                "1",
                "--warm",
                "0",
                "--threads",
                "1",
                "--json",
                json.toString());
        assertThat(status).as(screen.err()).isZero();
        JsonNode flat = new ObjectMapper().readTree(json.toFile()).get("flatness");
        assertThat(flat.get("far").asInt()).isEqualTo(100_000);
        assertThat(flat.get("ratio").asDouble()).isBetween(0.3, 3.0);
    }

    @Test
    void refusesWhatItCannotMeasure() {
        Screen screen = new Screen();
        assertThat(screen.run("bench", "--shape", "7b")).isEqualTo(2);
        assertThat(screen.run("bench", "--shape", "15m", "--attention", "gla", "--augmented"))
                .isEqualTo(2);
        assertThat(screen.run("bench", "--shape", "15m", "--batch", "0")).isEqualTo(2);
        assertThat(screen.err())
                .contains("15m, 110m, 1b")
                .contains("no augmented form")
                .contains("--batch");
    }
}
