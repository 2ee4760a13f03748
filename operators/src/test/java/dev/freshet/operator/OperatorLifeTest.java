package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.engine.CheckpointPolicy;
import dev.freshet.sampling.CounterRng;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenChunk;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.util.clock.ManualClock;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Whole lives of the operator on Flink's harness. The hash-chain model turns a state that is lost, stale or another's into another
 * text; the source replays from the last checkpoint, and what was emitted after it does not count, as in a transaction.
 */
class OperatorLifeTest {

    /** Numbers that follow from a seed. */
    private static final class Dice {
        private final long seed;
        private long thrown;

        Dice(long seed) {
            this.seed = seed;
        }

        int below(int bound) {
            return (int) (CounterRng.uniform(seed, thrown++) * bound);
        }
    }

    /** One life from one seed: random input, mails, checkpoints, failures, changes of parallelism. */
    private static final class Life implements AutoCloseable {

        private final Dice random;
        private final int slots;
        private final OperatorOptions options;
        private final List<Prompt> log = new ArrayList<>();
        private final ManualClock clock = new ManualClock(1_000_000_000L);
        private final List<Outbound> committed = new ArrayList<>();
        private final List<Outbound> open = new ArrayList<>();
        private final List<KeyedChunk> chunks = new ArrayList<>();
        private final Set<String> cancels = new HashSet<>();
        private OperatorBench bench;
        private List<OperatorSubtaskState> checkpoint = List.of();
        private int checkpointedNext;
        private int next;
        private long checkpoints;
        int failures;
        int rescales;
        int resumed;
        int cancelled;

        Life(long seed) throws Exception {
            random = new Dice(seed);
            slots = 1 + random.below(4);
            options = ServingBench.options(slots).withInFlight(CheckpointPolicy.values()[random.below(3)]);
            int prompts = 10 + random.below(30);
            for (int i = 0; i < prompts; i++) {
                boolean again = i > 0 && random.below(8) == 0;
                log.add(again ? log.get(random.below(i)) : prompt(i));
            }
            bench = OperatorBench.start(options, 1 + random.below(3), List.of(), clock);
        }

        private Prompt prompt(int i) {
            StringBuilder text = new StringBuilder();
            for (int n = 1 + random.below(40); n > 0; n--) {
                text.append((char) ('a' + random.below(26)));
            }
            Prompt prompt = ServingBench.prompt("r" + i, text.toString(), 1 + random.below(60));
            prompt.setStream(random.below(3) == 0);
            prompt.setSpeculative(random.below(2) == 0 ? "lookup" : "off");
            prompt.setPriority((long) random.below(3));
            return prompt;
        }

        private int subtask(Prompt prompt) {
            return Math.floorMod(prompt.getId().hashCode(), bench.parallelism());
        }

        private void feed() throws Exception {
            Prompt prompt = log.get(next);
            Origin origin = new Origin("prompts", 0, next, 5, null, List.of());
            byte[] value = prompt.toString().getBytes(StandardCharsets.UTF_8);
            next++;
            bench.feed(subtask(prompt), new Inbound.Prompt(prompt, value, origin));
        }

        /** A record of the control topic, which every subtask gets; it may be ahead of its request. */
        private void cancel(String id) throws Exception {
            cancels.add(id);
            for (int i = 0; i < bench.parallelism(); i++) {
                bench.feed(i, new Inbound.Cancel(id));
            }
        }

        private void collect() {
            open.addAll(bench.outcomes());
            chunks.addAll(bench.chunks());
        }

        private void checkpoint(boolean completes) throws Exception {
            List<OperatorSubtaskState> taken = bench.snapshot(++checkpoints);
            collect();
            if (completes) {
                checkpoint = taken;
                checkpointedNext = next;
                committed.addAll(open);
                open.clear();
            }
        }

        private void restart(int parallelism) throws Exception {
            collect();
            bench.close();
            open.clear();
            next = checkpointedNext;
            rescales += parallelism == bench.parallelism() ? 0 : 1;
            failures++;
            resumed += checkpoint.stream().mapToInt(OperatorBench::sequences).sum();
            bench = OperatorBench.start(options, parallelism, checkpoint, clock);
        }

        void run() throws Exception {
            int left = 250;
            while (left-- > 0) {
                int dice = random.below(40);
                if (dice < 12 && next < log.size()) {
                    feed();
                } else if (dice < 32) {
                    for (int n = random.below(12); n > 0; n--) {
                        bench.mail(random.below(bench.parallelism()));
                    }
                } else if (dice < 36) {
                    checkpoint(random.below(4) > 0);
                } else if (dice < 37) {
                    restart(random.below(2) == 0 ? bench.parallelism() : 1 + random.below(4));
                } else if (dice < 38) {
                    cancel("r" + random.below(log.size()));
                } else if (dice < 39) {
                    // A savepoint, and another parallelism from it.
                    checkpoint(true);
                    restart(1 + random.below(4));
                } else {
                    bench.time(clock.absoluteTimeMillis());
                }
            }
            while (next < log.size()) {
                feed();
            }
            bench.drain();
            checkpoint(true);
        }

        void check() {
            Map<String, Completion> byId = new HashMap<>();
            for (Outbound outcome : committed) {
                Completion c = ((Outbound.Completed) outcome).completion();
                assertThat(byId.put(c.getId(), c)).as("answers to " + c.getId()).isNull();
            }
            Map<String, Prompt> asked = new HashMap<>();
            log.forEach(p -> asked.put(p.getId(), p));
            assertThat(byId.keySet()).isEqualTo(asked.keySet());
            for (Prompt prompt : asked.values()) {
                Completion c = Objects.requireNonNull(byId.get(prompt.getId()));
                String expected = expected(prompt);
                if (c.getError() != null) {
                    assertThat(c.getError().getCode()).isEqualTo("CANCELLED");
                    assertThat(cancels).contains(c.getId());
                    assertThat(expected).startsWith(c.getText());
                    cancelled++;
                    continue;
                }
                assertThat(c.getText()).isEqualTo(expected);
                if (options.inFlight() == CheckpointPolicy.STATE) {
                    assertThat(c.getMetrics().getRecomputedTokens()).isZero();
                }
            }
            for (KeyedChunk one : chunks) {
                TokenChunk chunk = one.chunk();
                Prompt prompt = Objects.requireNonNull(asked.get(chunk.getId()));
                int[] tokens = HashChainModel.continuation(
                        LetterTexts.ids(prompt.getPrompt()),
                        prompt.getMaxTokens().intValue(),
                        LetterTexts.VOCABULARY);
                int from = (int) chunk.getTokenOffset();
                assertThat(chunk.getTokenIds().stream()
                                .mapToInt(Integer::intValue)
                                .toArray())
                        .isEqualTo(Arrays.copyOfRange(
                                tokens, from, from + chunk.getTokenIds().size()));
                assertThat(expected(prompt)).contains(chunk.getText());
            }
        }

        private static String expected(Prompt prompt) {
            return ServingBench.expected(
                    prompt.getPrompt(), prompt.getMaxTokens().intValue());
        }

        @Override
        public void close() throws Exception {
            bench.close();
        }
    }

    /** Lives many seeds; a failure names its seed. */
    private static int[] live(long first, int count) throws Exception {
        int[] sums = new int[4];
        for (long seed = first; seed < first + count; seed++) {
            try (Life life = new Life(seed)) {
                life.run();
                life.check();
                sums[0] += life.failures;
                sums[1] += life.rescales;
                sums[2] += life.resumed;
                sums[3] += life.cancelled;
            } catch (Exception | AssertionError e) {
                throw new AssertionError("The life of seed " + seed + " went wrong: " + e.getMessage(), e);
            }
        }
        return sums;
    }

    @Test
    void twoHundredSeedsLoseDoubleAndChangeNothing() throws Exception {
        int[] sums = live(0, 200);
        // Lives without failures, rescales and sequences in flight would prove nothing.
        assertThat(sums[0]).isGreaterThan(500);
        assertThat(sums[1]).isGreaterThan(150);
        assertThat(sums[2]).isGreaterThan(1500);
        assertThat(sums[3]).isGreaterThan(100);
    }

    @Test
    @Tag("nightly")
    void manySeedsLoseDoubleAndChangeNothing() throws Exception {
        live(Long.getLong("life.first", 1_000_000), Integer.getInteger("life.count", 20_000));
    }

    @Nested
    class Rescaling {

        @Test
        void splitsSequencesEvenlyAndKeepsEveryText() throws Exception {
            int prompts = 500;
            ManualClock clock = new ManualClock(1);
            OperatorOptions options = ServingBench.options(128);
            List<Outbound> outcomes = new ArrayList<>();
            List<OperatorSubtaskState> state = List.of();
            int[] plan = {1, 2, 3, 1, 4, 5, 16, 1};
            for (int i = 0; i < plan.length; i++) {
                try (OperatorBench bench = OperatorBench.start(options, plan[i], state, clock)) {
                    for (int p = 0; i == 0 && p < prompts; p++) {
                        Prompt prompt =
                                ServingBench.prompt("r" + p, "word" + (char) ('a' + p % 26) + "x".repeat(p % 7), 60);
                        bench.feed(0, new Inbound.Prompt(prompt, new byte[] {(byte) p, (byte) (p >> 8)}, origin(p)));
                    }
                    if (i > 0) {
                        List<OperatorSubtaskState> before = bench.snapshot(100 + i);
                        int total = before.stream()
                                .mapToInt(OperatorBench::sequences)
                                .sum();
                        assertThat(total).isGreaterThan(i == 1 ? 499 : 200);
                        for (OperatorSubtaskState one : before) {
                            assertThat(OperatorBench.sequences(one)).isBetween(total / plan[i], total / plan[i] + 1);
                        }
                    }
                    for (int m = 0; m < 5 * plan[i]; m++) {
                        bench.mail(m % plan[i]);
                    }
                    if (i == plan.length - 1) {
                        bench.drain();
                    }
                    state = bench.snapshot(i);
                    outcomes.addAll(bench.outcomes());
                }
            }
            assertThat(outcomes).hasSize(prompts);
            for (Outbound outcome : outcomes) {
                Completion c = ((Outbound.Completed) outcome).completion();
                int p = Integer.parseInt(c.getId().substring(1));
                assertThat(c.getText())
                        .isEqualTo(ServingBench.expected("word" + (char) ('a' + p % 26) + "x".repeat(p % 7), 60));
                assertThat(c.getMetrics().getRecomputedTokens()).isZero();
                assertThat(c.getMetrics().getResumedFromCheckpoint()).isPositive();
            }
        }

        private static Origin origin(long offset) {
            return new Origin("prompts", 0, offset, 5, null, List.of());
        }
    }
}
