package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.model.TestModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpeculativeCommandTest {

    @TempDir
    private Path folder = Path.of("");

    private Path model() {
        return TestModels.write(folder.resolve("m"), new TestModels.Shape("relu+", 400, 2, 16, 3, 512, 1));
    }

    @Test
    void comparesEveryModeAndFindsTheSameTexts() throws IOException {
        Path prompts = folder.resolve("prompts.jsonl");
        Files.writeString(
                prompts, "{\"prompt\":\"one two one two one two\"}\n\n{\"body\":{\"prompt\":\"a list of things\"}}\n");
        Path json = folder.resolve("result.json");
        Screen screen = new Screen();
        int status = screen.run(
                "bench",
                "speculative",
                "--model",
                model().toString(),
                "--prompts",
                prompts.toString(),
                "--batch",
                "1,3",
                "--passes",
                "2",
                "--max-tokens",
                "24",
                "--temperature",
                "1",
                "--threads",
                "1",
                "--json",
                json.toString());
        assertThat(status).as(screen.err()).isZero();
        assertThat(screen.out()).contains("Every mode generated the same tokens.");
        JsonNode result = new ObjectMapper().readTree(json.toFile());
        JsonNode rows = result.get("speculative");
        assertThat(rows.findValuesAsText("mode"))
                .containsExactly("off", "lookup", "tree", "auto", "off", "lookup", "tree", "auto");
        for (JsonNode row : rows) {
            boolean off = row.get("mode").asText().equals("off");
            assertThat(row.get("ratio").asDouble()).isPositive();
            assertThat(row.get("accepted_length").asDouble()).isGreaterThanOrEqualTo(1);
            if (off) {
                assertThat(row.get("ratio").asDouble()).isEqualTo(1);
                assertThat(row.get("accepted_length").asDouble()).isEqualTo(1);
            }
        }
        assertThat(rows.get(2).get("rows_per_step").asDouble()).isGreaterThan(5);
    }

    @Test
    void namesTheLineThatIsNoPrompt() throws IOException {
        Path prompts = folder.resolve("prompts.jsonl");
        Files.writeString(prompts, "{\"prompt\":\"good\"}\n{\"text\":\"secret words\"}\n");
        Screen screen = new Screen();
        int status = screen.run("bench", "speculative", "--model", model().toString(), "--prompts", prompts.toString());
        assertThat(status).isEqualTo(2);
        assertThat(screen.err()).contains("prompts.jsonl:2").doesNotContain("secret");
    }
}
