package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.apache.flink.util.clock.ManualClock;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** What may happen to a request besides its text: cancellation, deadlines, priority. */
class RequestLifeTest {

    @Nested
    class Cancellation {

        @Test
        void endsATextWithWhatThereIs() {
            ServingBench bench = new ServingBench(2);
            Prompt prompt = ServingBench.prompt("r", "long", 100);
            prompt.setStream(true);
            bench.arrive(prompt);
            bench.arrive(ServingBench.prompt("other", "beside", 20));
            for (int i = 0; i < 5; i++) {
                bench.step();
            }
            bench.cancel("r");
            Completion c = bench.completion("r");
            assertThat(c.getFinishReason()).isEqualTo("abort");
            assertThat(c.getError().getCode()).isEqualTo("CANCELLED");
            assertThat(c.getText()).isEqualTo(ServingBench.expected("long", 5));
            assertThat(c.getUsage().getCompletionTokens()).isEqualTo(5);
            assertThat(bench.chunks.get(bench.chunks.size() - 1).chunk().getFinishReason())
                    .isEqualTo("abort");
            bench.drain();
            assertThat(bench.completion("other").getText()).isEqualTo(ServingBench.expected("beside", 20));
            bench.serving.tick();
            assertThat(bench.metrics.get(0).getCancelledTotal()).isEqualTo(1);
            assertThat(bench.completions()).hasSize(2);
        }

        @Test
        void reachesTheQueueToo() {
            ServingBench bench = new ServingBench(1);
            bench.arrive(ServingBench.prompt("runs", "first", 10));
            bench.arrive(ServingBench.prompt("waits", "second", 10));
            bench.step();
            bench.cancel("waits");
            assertThat(bench.completion("waits").getText()).isEmpty();
            assertThat(bench.completion("waits").getError().getCode()).isEqualTo("CANCELLED");
            bench.drain();
            assertThat(bench.completion("runs").getText()).isEqualTo(ServingBench.expected("first", 10));
        }

        @Test
        void maybeAheadOfItsRequestEvenAcrossACheckpoint() throws IOException {
            ServingBench bench = new ServingBench(1);
            bench.cancel("r");
            ServingBench after = new ServingBench(1);
            after.cancelled.addAll(bench.cancelled.toBytes());
            after.arrive(ServingBench.prompt("r", "never", 10));
            assertThat(after.completion("r").getError().getCode()).isEqualTo("CANCELLED");
            assertThat(after.completion("r").getFinishReason()).isEqualTo("abort");
            assertThat(after.serving.isIdle()).isTrue();
            after.arrive(ServingBench.prompt("s", "well", 10));
            after.drain();
            assertThat(after.completion("s").getText()).isEqualTo(ServingBench.expected("well", 10));
        }

        @Test
        void comesTooLateForWhatHasEnded() {
            ServingBench bench = new ServingBench(1);
            bench.arrive(ServingBench.prompt("r", "done", 3));
            bench.drain();
            bench.cancel("r");
            assertThat(bench.completions()).hasSize(1);
            assertThat(bench.cancelled.take("r")).isFalse();
        }

        @Test
        void ofRequestsThatNeverComeTakesBoundedMemory() {
            CancelledIds ids = new CancelledIds();
            for (int i = 0; i < 3 * CancelledIds.LIMIT; i++) {
                ids.add("id" + i);
            }
            assertThat(ids.take("id" + (2 * CancelledIds.LIMIT - 1))).isFalse();
            assertThat(ids.take("id" + 2 * CancelledIds.LIMIT)).isTrue();
            assertThat(ids.take("id" + 2 * CancelledIds.LIMIT)).isFalse();
        }
    }

    @Nested
    class Deadlines {

        @Test
        void survivesARestoreAndCountsTheTimeBetween() {
            ServingBench before = new ServingBench(1);
            Prompt prompt = ServingBench.prompt("r", "late", 100);
            prompt.setDeadlineMs(200L);
            before.arrive(prompt);
            for (int i = 0; i < 5; i++) {
                before.step();
            }
            InFlights state = before.serving.snapshot();
            ServingBench after = new ServingBench(1);
            after.clock.advanceTime(java.time.Duration.ofMillis(100));
            after.serving.resume(state);
            after.drain();
            Completion c = after.completion("r");
            assertThat(c.getError().getCode()).isEqualTo("DEADLINE_EXCEEDED");
            // Five tokens before; at 100 ms of 200 the next begin, ten milliseconds each.
            assertThat(c.getText()).isEqualTo(ServingBench.expected("late", 15));
            assertThat(c.getMetrics().getRecomputedTokens()).isZero();
        }
    }

    /** Producers with another idea of the time, and a machine whose clock is set. */
    @Nested
    class Clocks {

        private static final long TEN_YEARS = Duration.ofDays(3652).toMillis();

        @Test
        void theTimestampOfARecordChangesNothing() {
            ServingBench bench = new ServingBench(8);
            long now = bench.clock.absoluteTimeMillis();
            long[] times = {
                now, 0, -1, Long.MIN_VALUE, Long.MAX_VALUE, now - TEN_YEARS, now + TEN_YEARS, 9_223_372_036_854L
            };
            for (int i = 0; i < times.length; i++) {
                Prompt prompt = ServingBench.prompt("r" + i, "clock", 20);
                prompt.setDeadlineMs(500L);
                Origin origin = new Origin("prompts", 0, i, times[i], null, List.of());
                bench.serving.submit(Objects.requireNonNull(
                        bench.serving.arrive(new Inbound.Prompt(prompt, new byte[] {(byte) i}, origin))));
            }
            bench.drain();
            assertThat(bench.completions()).hasSize(times.length).allSatisfy(c -> {
                assertThat(c.getError()).isNull();
                assertThat(c.getText()).isEqualTo(ServingBench.expected("clock", 20));
            });
        }

        @Test
        void aClockThatIsSetBetweenTwoProcessesChangesNoText() {
            for (long jump : new long[] {-TEN_YEARS, -3_600_000, 3_600_000, TEN_YEARS}) {
                ServingBench before = new ServingBench(2);
                Prompt late = ServingBench.prompt("late", "late", 50);
                late.setDeadlineMs(2000L);
                before.arrive(late);
                before.arrive(ServingBench.prompt("r", "clock", 50));
                for (int i = 0; i < 5; i++) {
                    before.step();
                }
                InFlights state = before.serving.snapshot();
                ServingBench after = new ServingBench(2, new ManualClock(1_000_000_000L + 1_000_000 * jump));
                after.serving.resume(state);
                after.drain();
                assertThat(after.completion("r").getText()).isEqualTo(ServingBench.expected("clock", 50));
                // Time that has passed while nothing ran counts, time that runs backwards does not.
                Completion c = after.completion("late");
                assertThat(c.getError() == null).isEqualTo(jump < 0);
                assertThat(ServingBench.expected("late", 50)).startsWith(c.getText());
            }
        }
    }

    @Nested
    class Priorities {

        @Test
        void smallerRunsEarlierThroughTheOperator() {
            ServingBench bench = new ServingBench(1);
            long[] priorities = {5, 0, -7, 0};
            for (int i = 0; i < priorities.length; i++) {
                Prompt prompt = ServingBench.prompt("r" + i, "order", 3);
                prompt.setPriority(priorities[i]);
                bench.arrive(prompt);
            }
            bench.drain();
            List<String> order = new ArrayList<>();
            bench.completions().forEach(c -> order.add(c.getId()));
            assertThat(order).containsExactly("r2", "r1", "r3", "r0");
        }
    }
}
