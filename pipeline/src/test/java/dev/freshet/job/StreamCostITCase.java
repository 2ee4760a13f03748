package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.harness.SharedKafka;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.RecordType;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What safety costs in throughput: the demo model behind a real broker and a real job, with and without, in turns, so that what
 * else the machine does falls on both. Tokens are counted by the engine from the first arrival to the last step. Set
 * {@code cost.pairs}, {@code cost.slots} and {@code cost.prompts} for other sizes; the machine must be quiet.
 */
@Tag("nightly")
class StreamCostITCase {

    private static final Logger LOG = LoggerFactory.getLogger(StreamCostITCase.class);
    private static final int PAIRS = Integer.getInteger("cost.pairs", 5);
    private static final int SLOTS = Integer.getInteger("cost.slots", 32);
    private static final int PROMPTS = Integer.getInteger("cost.prompts", 256);
    private static final int TOKENS = 96;
    private static final Duration POLL = Duration.ofMillis(100);
    private static final AtomicInteger NUMBER = new AtomicInteger();

    @TempDir
    private static Path directory;

    @BeforeAll
    static void start() throws Exception {
        // Whatever is compiled at the first run is compiled before the first that counts.
        tokensPerSecond("10 min", records(false));
    }

    private static JobOptions options(String interval) {
        int number = NUMBER.incrementAndGet();
        Map<String, String> values = new LinkedHashMap<>();
        values.put("job.name", "cost" + number);
        values.put("kafka.bootstrap.servers", SharedKafka.bootstrapServers());
        values.put(
                "model.directory",
                System.getProperty(
                        "cost.model",
                        Path.of(System.getProperty("freshet.root"), "models", "freshet-tiny")
                                .toString()));
        values.put("model.speculative", "off");
        values.put("engine.slots", String.valueOf(SLOTS));
        values.put("input.topic", "cost.prompts" + number);
        values.put("input.start", "earliest");
        values.put("completions.topic", "cost.completions" + number);
        values.put("chunks.topic", "none");
        values.put("metrics.topic", "cost.metrics" + number);
        values.put("metrics.interval", "200 ms");
        values.put("topics.partitions", "1");
        values.put("checkpoint.interval", interval);
        values.put(
                "checkpoint.directory",
                directory.resolve("checkpoints" + number).toString());
        values.put("checkpoint.timeout", "30 s");
        return JobOptions.of(values);
    }

    private static byte[] good(int i) {
        return JSON.encode(Prompt.newBuilder()
                .setId("r" + i)
                .setPrompt("The little fox went to the river number " + i + " and")
                .setMaxTokens((long) TOKENS)
                .setTemperature(0.0)
                .setIgnoreEos(true)
                .build());
    }

    private static final dev.freshet.wire.RecordEncoder<Prompt> JSON = JobOptions.of(
                    Map.of("kafka.bootstrap.servers", "none", "model.directory", "none"))
            .input()
            .format()
            .encoder(RecordType.PROMPT, "prompts");

    /** One of every sort that costs something before it is refused. */
    private static byte @Nullable [] poison(int i) {
        return switch (i % 6) {
            case 0 -> "no request".getBytes(StandardCharsets.UTF_8);
            case 1 ->
                ("{\"prompt\": \"" + "a long story ".repeat(40_000) + "\", \"max_tokens\": 5}")
                        .getBytes(StandardCharsets.UTF_8);
            case 2 -> "{\"prompt\": \"a\", \"temperature\": 1e30}".getBytes(StandardCharsets.UTF_8);
            case 3 -> {
                byte[] nested = new byte[100_000];
                Arrays.fill(nested, (byte) '[');
                yield nested;
            }
            case 4 -> new byte[] {'{', '"', (byte) 0xc3, '(', '"', '}'};
            default -> null;
        };
    }

    private static List<byte @Nullable []> records(boolean poisoned) {
        List<byte @Nullable []> records = new ArrayList<>();
        for (int i = 0; i < PROMPTS; i++) {
            records.add(good(i));
            if (poisoned && i % 9 == 0) {
                records.add(poison(i / 9));
            }
        }
        return records;
    }

    /** Serves the records, all there from the beginning, and returns what the job says of itself at its end. */
    private static double tokensPerSecond(String interval, List<byte @Nullable []> records) throws Exception {
        JobOptions options = options(interval);
        Preflight.run(options);
        try (PromptFeed feed = new PromptFeed(options)) {
            feed.send(records);
        }
        long wanted = (long) PROMPTS * TOKENS;
        Metric last = null;
        try (LocalJob job = LocalJob.start(options, GenerateJob.model(options), 0, directory);
                TopicTail tail = new TopicTail(options, true)) {
            boolean draining = false;
            while (last == null || !last.getKind().equals("summary")) {
                for (TopicTail.Item item : tail.poll(POLL)) {
                    last = item.value() instanceof Metric metric ? metric : last;
                }
                assertThat(job.phase()).isNotEqualTo(LocalJob.Phase.FAILED);
                if (!draining && last != null && last.getGenerationTokensTotal() == wanted) {
                    draining = true;
                    job.drain();
                }
            }
        }
        assertThat(last.getGenerationTokensTotal()).isEqualTo(wanted);
        return last.getGenerationTokensPerSecond();
    }

    /** Runs both in turns, the order changing, and returns the median of the ratios. */
    private static double ratio(String what, Rate with, Rate without) throws Exception {
        List<Double> ratios = new ArrayList<>();
        List<String> rates = new ArrayList<>();
        for (int pair = 0; pair < PAIRS; pair++) {
            double a;
            double b;
            if (pair % 2 == 0) {
                a = with.measure();
                b = without.measure();
            } else {
                b = without.measure();
                a = with.measure();
            }
            ratios.add(a / b);
            rates.add("%.0f/%.0f".formatted(a, b));
        }
        double median = ratios.stream().sorted().toList().get(PAIRS / 2);
        LOG.warn(
                "{}: tokens/s with/without {}, ratios {}, median {}",
                what,
                rates,
                ratios.stream().map("%.3f"::formatted).toList(),
                "%.3f".formatted(median));
        return median;
    }

    private interface Rate {
        double measure() throws Exception;
    }

    @Test
    void checkpointsEverySecondLeaveAtLeast95Percent() throws Exception {
        List<byte @Nullable []> records = records(false);
        assertThat(ratio(
                        "checkpoints every second",
                        () -> tokensPerSecond("1 s", records),
                        () -> tokensPerSecond("10 min", records)))
                .isGreaterThanOrEqualTo(0.95);
    }

    @Test
    void tenPercentPoisonLeavesTheGoodTrafficAtLeast90Percent() throws Exception {
        List<byte @Nullable []> clean = records(false);
        List<byte @Nullable []> poisoned = records(true);
        assertThat(ratio(
                        "one poison record in ten",
                        () -> tokensPerSecond("1 s", poisoned),
                        () -> tokensPerSecond("1 s", clean)))
                .isGreaterThanOrEqualTo(0.90);
    }
}
