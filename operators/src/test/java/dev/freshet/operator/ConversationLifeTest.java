package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.engine.CheckpointPolicy;
import dev.freshet.sampling.CounterRng;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.util.clock.ManualClock;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Whole lives of conversations on Flink's harness, each from one seed: turns come while others run, subtasks fail and change in number,
 * turns are cancelled. Every answer must be that of its conversation as one prompt.
 */
class ConversationLifeTest {

    private static final int SESSIONS = 5;
    private static final int CONTEXT = 200;

    private static final class Life implements AutoCloseable {

        private final long seed;
        private long thrown;
        private final OperatorOptions options;
        private final ManualClock clock = new ManualClock(1_000_000_000L);
        private final List<Prompt> log = new ArrayList<>();
        private final List<Outbound> committed = new ArrayList<>();
        private final List<Outbound> open = new ArrayList<>();
        private OperatorBench bench;
        private List<OperatorSubtaskState> checkpoint = List.of();
        private int checkpointedNext;
        private int next;
        private long checkpoints;

        Life(long seed) throws Exception {
            this.seed = seed;
            options = ServingBench.options(1 + below(4)).withInFlight(CheckpointPolicy.values()[below(3)]);
            for (int i = 0; i < 40; i++) {
                Prompt prompt = ServingBench.prompt("r" + i, "abcdefghij".substring(below(9)), 1 + below(8));
                prompt.setSessionId("s" + below(SESSIONS));
                prompt.setReturnTokenIds(true);
                prompt.setSpeculative(below(2) == 0 ? "lookup" : "off");
                prompt.setSessionEnd(below(12) == 0);
                log.add(prompt);
            }
            bench = OperatorBench.start(options, 1 + below(3), List.of(), clock);
        }

        private int below(int bound) {
            return (int) (CounterRng.uniform(seed, thrown++) * bound);
        }

        private void feed() throws Exception {
            Prompt prompt = log.get(next);
            Origin origin = new Origin("prompts", 0, next++, 5, null, List.of());
            byte[] value = prompt.toString().getBytes(StandardCharsets.UTF_8);
            bench.feed(bench.subtask(prompt.getSessionId()), new Inbound.Prompt(prompt, value, origin));
        }

        private void checkpoint() throws Exception {
            List<OperatorSubtaskState> taken = bench.snapshot(++checkpoints);
            open.addAll(bench.outcomes());
            if (below(4) > 0 || next == log.size()) {
                checkpoint = taken;
                checkpointedNext = next;
                committed.addAll(open);
                open.clear();
            }
        }

        private void restart() throws Exception {
            bench.close();
            open.clear();
            next = checkpointedNext;
            bench = OperatorBench.start(options, 1 + below(4), checkpoint, clock);
        }

        void run() throws Exception {
            for (int left = 200; left > 0; left--) {
                int dice = below(20);
                if (dice < 7 && next < log.size()) {
                    feed();
                } else if (dice < 15) {
                    for (int n = below(10); n > 0; n--) {
                        bench.mail(below(bench.parallelism()));
                    }
                } else if (dice < 18) {
                    checkpoint();
                } else if (dice < 19) {
                    restart();
                } else {
                    String id = "r" + below(log.size());
                    for (int i = 0; i < bench.parallelism(); i++) {
                        bench.feed(i, new Inbound.Cancel(id));
                    }
                }
            }
            while (next < log.size()) {
                feed();
            }
            bench.drain();
            checkpoint();
        }

        /** Returns the tokens that turns did not have to run. */
        long check() {
            Map<String, Completion> byId = new HashMap<>();
            for (Outbound outcome : committed) {
                Completion c = ((Outbound.Completed) outcome).completion();
                assertThat(byId.put(c.getId(), c)).as("answers to " + c.getId()).isNull();
            }
            assertThat(byId).hasSize(log.size());
            Map<String, int[]> kept = new HashMap<>();
            long cached = 0;
            for (Prompt turn : log) {
                Completion c = Objects.requireNonNull(byId.get(turn.getId()));
                int[] before = kept.getOrDefault(turn.getSessionId(), new int[0]);
                if (c.getError() != null) {
                    assertThat(c.getError().getCode()).isIn("CANCELLED", "PROMPT_TOO_LONG", "OVERLOADED");
                    continue;
                }
                int[] prompt = joined(before, LetterTexts.ids(turn.getPrompt()));
                int count = Math.min(turn.getMaxTokens().intValue(), CONTEXT - prompt.length);
                int[] answer = HashChainModel.continuation(prompt, count, LetterTexts.VOCABULARY);
                assertThat(c.getTokenIds())
                        .containsExactlyElementsOf(Arrays.stream(answer).boxed().toList());
                assertThat(c.getUsage().getCachedTokens()).isEqualTo(Math.max(0, before.length - 1));
                if (options.inFlight() == CheckpointPolicy.STATE) {
                    assertThat(c.getMetrics().getRecomputedTokens()).isZero();
                }
                cached += c.getUsage().getCachedTokens();
                if (turn.getSessionEnd()) {
                    kept.remove(turn.getSessionId());
                } else {
                    kept.put(turn.getSessionId(), joined(prompt, answer));
                }
            }
            return cached;
        }

        private static int[] joined(int[] before, int[] own) {
            int[] all = Arrays.copyOf(before, before.length + own.length);
            System.arraycopy(own, 0, all, before.length, own.length);
            return all;
        }

        @Override
        public void close() throws Exception {
            bench.close();
        }
    }

    private static long live(long first, int count) throws Exception {
        long cached = 0;
        for (long seed = first; seed < first + count; seed++) {
            try (Life life = new Life(seed)) {
                life.run();
                cached += life.check();
            } catch (Exception | AssertionError e) {
                throw new AssertionError("The life of seed " + seed + " went wrong: " + e.getMessage(), e);
            }
        }
        return cached;
    }

    @Test
    void fortySeedsForgetAndMixUpNothing() throws Exception {
        // Lives whose turns went on from nothing would prove nothing.
        assertThat(live(0, 40)).isGreaterThan(20_000);
    }

    @Test
    @Tag("nightly")
    void manySeedsForgetAndMixUpNothing() throws Exception {
        live(1_000_000, 10_000);
    }
}
