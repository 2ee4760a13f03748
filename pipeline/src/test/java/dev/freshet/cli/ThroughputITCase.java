package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.freshet.harness.SharedKafka;
import dev.freshet.job.JobOptions;
import dev.freshet.job.LocalJob;
import dev.freshet.job.Preflight;
import dev.freshet.job.PromptFeed;
import dev.freshet.job.TopicTail;
import dev.freshet.operator.HashChainModel;
import dev.freshet.operator.LetterTexts;
import dev.freshet.operator.ModelLoader;
import dev.freshet.operator.ServedModel;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.RecordType;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the demo measures from outside and what the job says about itself are two observations of one thing. */
class ThroughputITCase {

    private static final int TOKENS = 50;
    /** Tokens of {@link LetterTexts}: the end, then the letters. */
    private static final int VOCABULARY = 27;

    private static final int END = 0;
    private static final Duration POLL = Duration.ofMillis(100);

    @TempDir
    private static Path directory;

    private static JobOptions options(int slots) {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("job.name", "slots" + slots);
        values.put("kafka.bootstrap.servers", SharedKafka.bootstrapServers());
        values.put("model.directory", "none");
        values.put("engine.slots", String.valueOf(slots));
        values.put("input.topic", "prompts" + slots);
        values.put("input.start", "earliest");
        values.put("completions.topic", "completions" + slots);
        values.put("metrics.topic", "metrics" + slots);
        values.put("metrics.interval", "200 ms");
        values.put("topics.partitions", "1");
        values.put("checkpoint.interval", "1 s");
        return JobOptions.of(values);
    }

    /** Steps of two milliseconds whatever the batch, so that more slots give more tokens. */
    private static ServedModel model(int slots) {
        HashChainModel model = new HashChainModel(VOCABULARY, 200, slots);
        model.beforeForward(() -> LockSupport.parkNanos(2_000_000));
        return new ServedModel(model, new LetterTexts(), Set.of(END), "hash-chain", "fingerprint", "fake", () -> {});
    }

    private static byte[] request(JobOptions options, int i) {
        Prompt prompt = Prompt.newBuilder()
                .setId("r" + i)
                .setPrompt("word" + (char) ('a' + i % 26))
                .setMaxTokens((long) TOKENS)
                .setTemperature(0.0)
                .setIgnoreEos(true)
                .setSpeculative("off")
                .build();
        return options.input()
                .format()
                .encoder(RecordType.PROMPT, options.input().topic())
                .encode(prompt);
    }

    @ParameterizedTest
    @CsvSource({"1, 20", "8, 160", "32, 640"})
    void theDemoAndTheMetricsTopicAgree(int slots, int prompts) throws Exception {
        JobOptions options = options(slots);
        Preflight.run(options);
        DemoTally tally = new DemoTally();
        ModelLoader loader = ThroughputITCase::model;
        try (LocalJob job = LocalJob.start(options, loader, 0, directory);
                TopicTail tail = new TopicTail(options, true);
                PromptFeed feed = new PromptFeed(options)) {
            while (tally.latest() == null) {
                tail.poll(POLL).forEach(tally::take);
            }
            tally.sent(
                    options.input().topic(),
                    feed.send(IntStream.range(0, prompts)
                            .mapToObj(i -> request(options, i))
                            .toList()));
            while (tally.open() > 0) {
                tail.poll(POLL).forEach(tally::take);
            }
            job.drain();
            while (tally.summary() == null) {
                tail.poll(POLL).forEach(tally::take);
            }
        }
        Metric own = Objects.requireNonNull(tally.summary());
        assertThat(tally.tokens()).isEqualTo((long) prompts * TOKENS).isEqualTo(own.getGenerationTokensTotal());
        double rate = own.getGenerationTokensPerSecond();
        assertThat(tally.tokensPerSecond()).isCloseTo(rate, within(0.05 * rate));
        assertThat(own.getBatchOccupancy()).isGreaterThan(0.8);
        assertThat(List.of(tally.texts(), tally.records("completions" + slots))).containsOnly(prompts);
    }
}
