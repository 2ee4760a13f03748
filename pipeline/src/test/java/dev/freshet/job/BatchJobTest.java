package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.operator.DirectoryModel;
import dev.freshet.request.ConfigError;
import dev.freshet.request.SpeculationMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BatchJobTest {

    private static final Clock CLOCK = Clock.fixed(Instant.ofEpochSecond(1_700_000_000), ZoneOffset.UTC);

    @TempDir
    private Path folder = Path.of("");

    private BatchJob.Progress run(Path input, String output, int slots, @Nullable WeightFormat weights)
            throws IOException {
        DirectoryModel model =
                new DirectoryModel(BatchFiles.model(folder).toString(), "vector", 1, 0, weights, "plain");
        BatchJob.Options options = new BatchJob.Options(
                input, folder.resolve(output), model, slots, SpeculationMode.AUTO, Set.of(), false);
        return new BatchJob(options, CLOCK).run(sentence -> {}, progress -> {});
    }

    private Path input(List<String> lines) throws IOException {
        return BatchFiles.write(folder.resolve("requests.jsonl"), lines);
    }

    private static List<String> many(int count) {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            lines.add(BatchFiles.line("id-" + i, "some words " + i, 3 + i % 11));
        }
        return lines;
    }

    @Test
    void everyLineHasOneAnswerWhateverItIs() throws IOException {
        List<String> lines = new ArrayList<>(many(6));
        lines.add("");
        lines.add("this is no JSON");
        lines.add(BatchFiles.line("id-2", "the same id again", 4));
        lines.add(BatchFiles.line("id-8", "too many tokens", 1_000_000));
        lines.add("{\"prompt\":\"a bare body\",\"max_tokens\":2}\r");
        lines.add("{\"custom_id\":\"long\",\"body\":{\"prompt\":\"" + "x".repeat(BatchRequests.LINE_BYTES) + "\"}}");
        lines.add("{\"custom_id\":\"chat\",\"url\":\"/v1/chat/completions\",\"body\":{\"messages\":"
                + "[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":3}}");
        BatchJob.Progress end = run(input(lines), "out", 4, null);
        Path out = folder.resolve("out");
        List<JsonNode> good = BatchFiles.answers(out, BatchOutput.RESULTS);
        List<JsonNode> bad = BatchFiles.answers(out, BatchOutput.ERRORS);
        assertThat(end.completed()).isEqualTo(8).isEqualTo(good.size());
        assertThat(end.failed()).isEqualTo(4).isEqualTo(bad.size());
        assertThat(good.stream().map(a -> a.get("custom_id").asText()))
                .containsExactlyInAnyOrder(
                        "id-0", "id-1", "id-2", "id-3", "id-4", "id-5", "requests.jsonl-0-10", "chat");
        assertThat(good).allMatch(a -> a.at("/response/status_code").asInt() == 200);
        assertThat(good).allMatch(a -> a.at("/response/body/created").asLong() == 1_700_000_000);
        assertThat(bad.stream().map(a -> a.at("/error/code").asText()))
                .containsExactlyInAnyOrder("BAD_JSON", "DUPLICATE_ID_CONFLICT", "INVALID_PARAM", "RECORD_TOO_LARGE");
    }

    @Test
    void whatWasCutOffOrDamagedIsAnsweredAgainAndNothingElse() throws IOException {
        Path input = input(many(40));
        run(input, "whole", 4, null);
        run(input, "out", 4, null);
        Path results = folder.resolve("out").resolve(BatchOutput.RESULTS);
        byte[] bytes = Files.readAllBytes(results);
        for (int kept : List.of(bytes.length - 1, bytes.length - 7, bytes.length / 2, 10, 0)) {
            Files.write(results, java.util.Arrays.copyOf(bytes, kept));
            long lines = new String(java.util.Arrays.copyOf(bytes, kept), java.nio.charset.StandardCharsets.UTF_8)
                    .chars()
                    .filter(c -> c == '\n')
                    .count();
            BatchJob.Progress end = run(input, "out", 4, null);
            assertThat(end.earlier()).isEqualTo(lines);
            assertThat(end.completed()).isEqualTo(40 - lines);
            assertThat(BatchFiles.timeless(folder.resolve("out")))
                    .isEqualTo(BatchFiles.timeless(folder.resolve("whole")));
        }
        Files.writeString(results, "garbage after a power failure\n", StandardOpenOption.APPEND);
        assertThat(run(input, "out", 4, null).earlier()).isEqualTo(40);
        assertThat(BatchFiles.answers(folder.resolve("out"), BatchOutput.RESULTS))
                .hasSize(40);
    }

    @Test
    void anotherModelOrInputOrDirectoryIsRefused() throws IOException {
        Path input = input(many(3));
        run(input, "out", 2, null);
        assertThatThrownBy(() -> run(input, "out", 2, WeightFormat.BF16))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("expected weights as stored")
                .hasMessageContaining("BF16");
        input(many(4));
        assertThatThrownBy(() -> run(input, "out", 2, null))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("expected input sha256:");
        Path foreign = Files.createDirectory(folder.resolve("foreign"));
        Files.writeString(foreign.resolve(BatchOutput.RESULTS), "precious\n");
        assertThatThrownBy(() -> run(input, "foreign", 2, null))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("no manifest.json");
        assertThat(foreign.resolve(BatchOutput.RESULTS)).hasContent("precious");
    }

    @Test
    void oneRunAtATimeWritesToADirectory() throws IOException {
        try (BatchOutput held = new BatchOutput(folder.resolve("out"))) {
            assertThat(held.answers()).isZero();
            assertThatThrownBy(() -> run(input(many(1)), "out", 1, null))
                    .isInstanceOf(ConfigError.class)
                    .hasMessageContaining("another run");
        }
    }

    @Test
    void longOnesGoFirstAndSlotsStayFull() throws IOException {
        List<String> lines = many(300);
        lines.add(BatchFiles.line("longest", "the longest of all", 60));
        BatchJob.Progress end = run(input(lines), "out", 8, null);
        assertThat(end.slotFill()).isGreaterThan(0.95);
        List<JsonNode> answers = BatchFiles.answers(folder.resolve("out"), BatchOutput.RESULTS);
        List<String> order =
                answers.stream().map(a -> a.get("custom_id").asText()).toList();
        assertThat(order.indexOf("longest")).isLessThan(150);
        assertThat(answers.get(answers.size() - 1)
                        .at("/response/body/usage/completion_tokens")
                        .asInt())
                .isLessThan(6);
    }

    @Test
    void slotsDoNotChangeAnAnswer() throws IOException {
        Path input = input(many(25));
        run(input, "one", 1, null);
        run(input, "seven", 7, null);
        assertThat(BatchFiles.timeless(folder.resolve("seven"))).isEqualTo(BatchFiles.timeless(folder.resolve("one")));
    }
}
