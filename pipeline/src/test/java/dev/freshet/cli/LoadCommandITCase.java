package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.job.EmbeddedKafka;
import dev.freshet.job.JobOptions;
import dev.freshet.job.LocalJob;
import dev.freshet.job.Preflight;
import dev.freshet.job.TopicVerifier;
import dev.freshet.job.Verification;
import dev.freshet.operator.HashChainModel;
import dev.freshet.operator.LetterTexts;
import dev.freshet.operator.ServedModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command against a job with a broker: what it reports is what the topics hold. */
class LoadCommandITCase {

    private static final int VOCABULARY = 27;
    private static final int SLOTS = 4;
    private static final Path MODEL = Path.of(System.getProperty("freshet.root", ".."), "models/freshet-tiny");

    @TempDir
    private Path directory = Path.of("");

    /** A step takes two milliseconds whatever it holds: four slots give at most 2000 tokens a second. */
    private static ServedModel model(int slots) {
        HashChainModel model = new HashChainModel(VOCABULARY, 4096, slots);
        model.beforeForward(() -> LockSupport.parkNanos(2_000_000));
        return new ServedModel(model, new LetterTexts(), Set.of(0), "hash-chain", "fingerprint", "fake", () -> {});
    }

    private static Map<String, String> values(EmbeddedKafka kafka) {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("kafka.bootstrap.servers", kafka.bootstrapServers());
        values.put("model.directory", "none");
        values.put("model.speculative", "off");
        values.put("engine.slots", String.valueOf(SLOTS));
        values.put("topics.partitions", "2");
        values.put("metrics.interval", "200 ms");
        values.put("checkpoint.interval", "200 ms");
        return values;
    }

    private JsonNode load(EmbeddedKafka kafka, String... more) throws IOException {
        Path json = directory.resolve("report.json");
        String[] arguments = {
            "load",
            "--bootstrap-servers",
            kafka.bootstrapServers(),
            "--model",
            MODEL.toString(),
            "--json",
            json.toString()
        };
        String[] all = new String[arguments.length + more.length];
        System.arraycopy(arguments, 0, all, 0, arguments.length);
        System.arraycopy(more, 0, all, arguments.length, more.length);
        Screen screen = new Screen();
        int status = screen.run(all);
        assertThat(status).as(screen.err()).isZero();
        assertThat(screen.out()).contains("0 missing").contains("answer readable");
        return new ObjectMapper().readTree(Files.readString(json));
    }

    @Test
    void reportsWhatTheTopicsHoldBelowAndAboveWhatTheJobCanDo() throws Exception {
        try (EmbeddedKafka kafka = EmbeddedKafka.start(directory)) {
            JobOptions options = JobOptions.of(values(kafka));
            Preflight.run(options);
            try (LocalJob job = LocalJob.start(options, LoadCommandITCase::model, 0, directory)) {
                Path trace = directory.resolve("trace.csv");
                StringBuilder lines = new StringBuilder("TIMESTAMP,ContextTokens,GeneratedTokens\n");
                for (int i = 0; i < 60; i++) {
                    lines.append(i * 0.1).append(",60,").append(20 + i % 7).append('\n');
                }
                Files.writeString(trace, lines);
                JsonNode calm = load(
                        kafka,
                        "--trace",
                        trace.toString(),
                        "--speed",
                        "4",
                        "--prompt-scale",
                        "0.1",
                        "--warm-up",
                        "0.5");
                assertThat(calm.at("/requests/answered").asInt()).isEqualTo(60);
                assertThat(calm.at("/requests/measured").asInt()).isEqualTo(40);
                assertThat(calm.at("/requests/generated_tokens").asInt())
                        .isEqualTo(60 * 20 + 8 * (1 + 2 + 3 + 4 + 5 + 6) + 1 + 2 + 3);
                assertThat(calm.at("/latency_ms/latency/count").asInt()).isEqualTo(40);
                double written = calm.at("/latency_ms/written_latency/p50").asDouble();
                assertThat(calm.at("/latency_ms/time_to_first_token/p50").asDouble())
                        .isPositive()
                        .isLessThan(written);
                assertThat(written)
                        .isLessThan(calm.at("/latency_ms/latency/p50").asDouble());
                assertThat(calm.at("/sender_lateness_ms/count").asInt()).isEqualTo(60);

                JsonNode busy = load(
                        kafka,
                        "--rate",
                        "120",
                        "--completion-tokens",
                        "40",
                        "--prompt-tokens",
                        "5",
                        "--duration",
                        "2",
                        "--warm-up",
                        "0.5",
                        "--stream");
                assertThat(busy.at("/window/kept_up").asBoolean()).isFalse();
                assertThat(busy.at("/window/generated_tokens_per_second").asDouble())
                        .isBetween(200.0, 2100.0);
                assertThat(busy.at("/backlog/most_open").asInt()).isGreaterThan(20 + SLOTS);
                assertThat(busy.at("/latency_ms/time_to_first_token/count").asInt())
                        .isEqualTo(busy.at("/requests/measured").asInt());
                Verification law = TopicVerifier.verify(options, 5);
                assertThat(law.holds()).as("%s", law).isTrue();
                assertThat(law.completions())
                        .isEqualTo(60 + busy.at("/requests/sent").asInt());
            }
        }
    }
}
