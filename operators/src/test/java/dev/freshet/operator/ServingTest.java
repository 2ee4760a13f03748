package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.freshet.request.ConfigError;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenChunk;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

class ServingTest {

    /** Through the stored form, as a checkpoint does. */
    private static InFlights stored(InFlights all) throws IOException {
        List<InFlight> back = new ArrayList<>();
        for (InFlight one : all.sequences()) {
            back.add(InFlightSerializerTest.read(InFlightSerializerTest.write(one)));
        }
        return new InFlights(back, Map.of());
    }

    @Nested
    class Outcomes {

        @Test
        void everyRequestGetsItsOwnText() {
            ServingBench bench = new ServingBench(4);
            for (int i = 0; i < 12; i++) {
                bench.arrive(ServingBench.prompt("r" + i, "abc" + (char) ('a' + i), 5 + i));
            }
            bench.drain();
            assertThat(bench.completions()).hasSize(12);
            for (int i = 0; i < 12; i++) {
                Completion c = bench.completion("r" + i);
                assertThat(c.getText()).isEqualTo(ServingBench.expected("abc" + (char) ('a' + i), 5 + i));
                assertThat(c.getFinishReason()).isEqualTo("length");
                assertThat(c.getUsage().getPromptTokens()).isEqualTo(4);
                assertThat(c.getUsage().getCompletionTokens()).isEqualTo(5 + i);
                assertThat(c.getModel()).isEqualTo(ServingBench.MODEL);
                assertThat(c.getModelFingerprint()).isEqualTo("fingerprint-1");
                assertThat(c.getBackend()).isEqualTo("fake");
                assertThat(c.getSourceOffset()).isEqualTo(i);
            }
        }

        @Test
        void aStopStringEndsTheTextBeforeIt() {
            ServingBench bench = new ServingBench(1);
            String text = ServingBench.expected("stop", 40);
            Prompt prompt = ServingBench.prompt("r", "stop", 40);
            prompt.setStop(List.of(text.substring(10, 13)));
            bench.arrive(prompt);
            bench.drain();
            Completion c = bench.completion("r");
            assertThat(c.getText()).isEqualTo(text.substring(0, text.indexOf(text.substring(10, 13))));
            assertThat(c.getFinishReason()).isEqualTo("stop");
            assertThat(c.getStopReason()).isEqualTo(text.substring(10, 13));
        }

        @Test
        void echoAndTokenIdsComeWhenAskedFor() {
            ServingBench bench = new ServingBench(1);
            Prompt prompt = ServingBench.prompt("r", "say", 3);
            prompt.setEcho(true);
            prompt.setReturnTokenIds(true);
            prompt.setLogprobs(2L);
            bench.arrive(prompt);
            bench.drain();
            Completion c = bench.completion("r");
            assertThat(c.getText()).isEqualTo("say" + ServingBench.expected("say", 3));
            assertThat(c.getTokenIds()).hasSize(3);
            assertThat(c.getLogprobs()).hasSize(3).allSatisfy(p -> assertThat(p.getTopLogprobs())
                    .hasSize(2));
        }

        @Test
        void aWrongRequestIsAnErrorAndItsNeighboursAreUnchanged() {
            ServingBench bench = new ServingBench(2);
            bench.arrive(ServingBench.prompt("good-1", "left", 6));
            bench.arrive(ServingBench.prompt("no-tokens", "x", 0));
            Prompt nan = ServingBench.prompt("nan", "x", 4);
            nan.setTemperature(Double.NaN);
            bench.arrive(nan);
            bench.arrive(ServingBench.prompt("empty", "", 4));
            bench.arrive(ServingBench.prompt("long", "y".repeat(300), 4));
            bench.arrive(ServingBench.prompt("bug", "hey!", 4));
            Prompt other = ServingBench.prompt("other-model", "x", 4);
            other.setModel("gpt-9");
            bench.arrive(other);
            Prompt alien = ServingBench.prompt("alien", "x", 4);
            alien.setStopTokenIds(List.of(27));
            bench.arrive(alien);
            bench.arrive(ServingBench.prompt("good-2", "right", 6));
            bench.drain();
            assertThat(bench.completion("good-1").getText()).isEqualTo(ServingBench.expected("left", 6));
            assertThat(bench.completion("good-2").getText()).isEqualTo(ServingBench.expected("right", 6));
            assertThat(bench.completions().stream()
                            .filter(c -> c.getError() != null)
                            .map(c -> c.getId() + " " + c.getError().getCode()))
                    .containsExactly(
                            "no-tokens INVALID_PARAM",
                            "nan INVALID_PARAM",
                            "empty EMPTY_PROMPT",
                            "long PROMPT_TOO_LONG",
                            "bug INTERNAL",
                            "other-model UNKNOWN_MODEL",
                            "alien INVALID_PARAM");
            assertThat(bench.completion("nan").getFinishReason()).isEqualTo("error");
            assertThat(bench.completion("nan").getUsage()).isNull();
        }

        @Test
        void aRejectionLeavesAtOnceAsItCame() {
            ServingBench bench = new ServingBench(1);
            DeadLetters.Reason reason =
                    new DeadLetters.Reason("decode", "BAD_JSON", null, "Cannot decode.", false, null, null, null);
            bench.serving.arrive(new Inbound.Rejected(DeadLetters.of(bench.origin(), new byte[] {7}, reason, 0)));
            assertThat(bench.letters()).hasSize(1);
            assertThat(bench.letters().get(0).getValue().array()).containsExactly(7);
            assertThat(bench.serving.isIdle()).isTrue();
        }
    }

    @Nested
    class Duplicates {

        @Test
        void theSameRequestTwiceIsAnsweredOnce() {
            ServingBench bench = new ServingBench(2);
            bench.arrive(ServingBench.prompt("r", "again", 4));
            bench.arrive(ServingBench.prompt("r", "again", 4));
            bench.drain();
            bench.arrive(ServingBench.prompt("r", "again", 4));
            bench.drain();
            bench.serving.tick();
            assertThat(bench.outcomes).hasSize(1);
            assertThat(bench.metrics.get(0).getDuplicatesTotal()).isEqualTo(2);
        }

        @Test
        void anotherRequestWithAKnownIdIsADeadLetter() {
            ServingBench bench = new ServingBench(2);
            bench.arrive(ServingBench.prompt("r", "first", 4));
            bench.arrive(ServingBench.prompt("r", "second", 4));
            bench.drain();
            assertThat(bench.completion("r").getText()).isEqualTo(ServingBench.expected("first", 4));
            assertThat(bench.letters()).hasSize(1);
            assertThat(bench.letters().get(0).getCode()).isEqualTo("DUPLICATE_ID_CONFLICT");
        }

        @Test
        void requestsWithoutIdAreNeverRepetitions() {
            ServingBench bench = new ServingBench(2);
            for (int i = 0; i < 3; i++) {
                Prompt prompt = ServingBench.prompt("", "same", 4);
                prompt.setId(null);
                bench.arrive(prompt);
            }
            bench.drain();
            assertThat(bench.completions().stream().map(Completion::getId))
                    .containsExactlyInAnyOrder("prompts-0-0", "prompts-0-1", "prompts-0-2");
        }
    }

    @Nested
    class Chunks {

        @Test
        void piecesInOrderMakeTheText() {
            ServingBench bench = new ServingBench(2);
            Prompt prompt = ServingBench.prompt("r", "stream", 20);
            prompt.setStream(true);
            prompt.setStop(List.of("never"));
            prompt.setSessionId("session");
            bench.arrive(prompt);
            bench.drain();
            StringBuilder text = new StringBuilder();
            long offset = 0;
            for (int i = 0; i < bench.chunks.size(); i++) {
                TokenChunk chunk = bench.chunks.get(i).chunk();
                assertThat(bench.chunks.get(i).key()).isEqualTo("session");
                assertThat(chunk.getIndex()).isEqualTo(i);
                assertThat(chunk.getTokenOffset()).isEqualTo(offset);
                offset += chunk.getTokenIds().size();
                text.append(chunk.getText());
            }
            assertThat(offset).isEqualTo(20);
            assertThat(text.toString()).isEqualTo(bench.completion("r").getText());
            TokenChunk last = bench.chunks.get(bench.chunks.size() - 1).chunk();
            assertThat(last.getFinishReason()).isEqualTo("length");
            assertThat(last.getUsage().getCompletionTokens()).isEqualTo(20);
            assertThat(bench.chunks.subList(0, bench.chunks.size() - 1))
                    .allSatisfy(c -> assertThat(c.chunk().getFinishReason()).isNull());
        }

        @Test
        void nobodyGetsThemUnasked() {
            ServingBench bench = new ServingBench(2);
            bench.arrive(ServingBench.prompt("r", "quiet", 20));
            bench.drain();
            assertThat(bench.chunks).isEmpty();
        }
    }

    @Nested
    class Checkpoints {

        @Test
        void whereverOneIsTakenTheTextsAreTheSame() throws IOException {
            for (int cut = 0; cut < 25; cut++) {
                ServingBench before = new ServingBench(2);
                for (int i = 0; i < 5; i++) {
                    Prompt prompt = ServingBench.prompt("r" + i, "cut" + (char) ('a' + i), 8);
                    prompt.setStream(true);
                    prompt.setLogprobs(1L);
                    before.arrive(prompt);
                }
                for (int i = 0; i < cut && !before.serving.isIdle(); i++) {
                    before.step();
                }
                ServingBench after = new ServingBench(2);
                after.serving.resume(stored(before.serving.snapshot()));
                after.drain();
                List<Completion> all = new ArrayList<>(before.completions());
                all.addAll(after.completions());
                assertThat(all).hasSize(5);
                for (Completion c : all) {
                    int i = Integer.parseInt(c.getId().substring(1));
                    assertThat(c.getText()).isEqualTo(ServingBench.expected("cut" + (char) ('a' + i), 8));
                    assertThat(c.getLogprobs()).hasSize(8);
                    assertThat(c.getSourceOffset()).isEqualTo(i);
                    StringBuilder text = new StringBuilder();
                    before.chunks.stream()
                            .filter(k -> k.key().equals(c.getId()))
                            .forEach(k -> text.append(k.chunk().getText()));
                    after.chunks.stream()
                            .filter(k -> k.key().equals(c.getId()))
                            .forEach(k -> text.append(k.chunk().getText()));
                    assertThat(text.toString()).isEqualTo(c.getText());
                }
                assertThat(after.completions())
                        .allSatisfy(c -> assertThat(c.getMetrics().getResumedFromCheckpoint())
                                .isEqualTo(1));
            }
        }

        @Test
        void anotherModelIsRefusedUnlessAllowed() throws IOException {
            ServingBench before = new ServingBench(1);
            before.arrive(ServingBench.prompt("r", "model", 8));
            before.step();
            before.step();
            InFlights state = stored(before.serving.snapshot());
            ServingBench strict = new ServingBench(ServingBench.options(1), "fingerprint-2");
            assertThatThrownBy(() -> strict.serving.resume(state))
                    .isInstanceOf(ConfigError.class)
                    .hasMessageContaining("fingerprint-1");
            ServingBench lenient = new ServingBench(ServingBench.options(1).withModelChange(true), "fingerprint-2");
            lenient.serving.resume(state);
            lenient.drain();
            assertThat(lenient.completion("r").getText()).isEqualTo(ServingBench.expected("model", 8));
            assertThat(lenient.completion("r").getMetrics().getRecomputedTokens())
                    .isZero();
        }
    }

    @Nested
    class Time {

        @Test
        void aPassedDeadlineEndsTheTextWithWhatThereIs() {
            ServingBench bench = new ServingBench(1);
            Prompt late = ServingBench.prompt("late", "slow", 100);
            late.setDeadlineMs(50L);
            bench.arrive(late);
            Prompt waiting = ServingBench.prompt("waiting", "slow", 100);
            waiting.setDeadlineMs(45L);
            bench.arrive(waiting);
            bench.arrive(ServingBench.prompt("patient", "slow", 3));
            bench.drain();
            Completion c = bench.completion("late");
            assertThat(c.getFinishReason()).isEqualTo("abort");
            assertThat(c.getError().getCode()).isEqualTo("DEADLINE_EXCEEDED");
            assertThat(c.getText()).isEqualTo(ServingBench.expected("slow", 5));
            assertThat(bench.completion("waiting").getError().getCode()).isEqualTo("DEADLINE_EXCEEDED");
            assertThat(bench.completion("waiting").getText()).isEmpty();
            assertThat(bench.completion("patient").getFinishReason()).isEqualTo("length");
        }

        @Test
        void timesAreMeasuredFromArrival() {
            ServingBench bench = new ServingBench(1);
            bench.arrive(ServingBench.prompt("first", "a", 4));
            bench.arrive(ServingBench.prompt("second", "b", 4));
            bench.drain();
            var first = bench.completion("first").getMetrics();
            assertThat(first.getQueueTimeMs()).isCloseTo(10, within(1e-6));
            assertThat(first.getTimeToFirstTokenMs()).isCloseTo(10, within(1e-6));
            assertThat(first.getMeanItlMs()).isCloseTo(10, within(1e-6));
            assertThat(first.getGenerationTimeMs()).isCloseTo(30, within(1e-6));
            assertThat(bench.completion("second").getMetrics().getQueueTimeMs()).isCloseTo(50, within(1e-6));
        }

        @Test
        void metricsCountTokensAndRates() {
            ServingBench bench = new ServingBench(2);
            bench.arrive(ServingBench.prompt("a", "abc", 10));
            bench.arrive(ServingBench.prompt("b", "abc", 10));
            bench.arrive(ServingBench.prompt("bad", "abc", -1));
            bench.drain();
            bench.clock.advanceTime(Duration.ofMillis(900));
            bench.serving.tick();
            bench.serving.summarize();
            Metric interval = bench.metrics.get(0);
            assertThat(interval.getKind()).isEqualTo("interval");
            assertThat(interval.getGenerationTokensTotal()).isEqualTo(20);
            assertThat(interval.getPromptTokensTotal()).isEqualTo(6);
            assertThat(interval.getIntervalMs()).isEqualTo(1000);
            assertThat(interval.getGenerationTokensPerSecond()).isCloseTo(20, within(0.1));
            assertThat(interval.getBatchOccupancy()).isCloseTo(1, within(1e-9));
            assertThat(interval.getRequestsLengthTotal()).isEqualTo(2);
            assertThat(interval.getRequestsErrorTotal()).isEqualTo(1);
            assertThat(interval.getInterTokenLatencySeconds().getP50()).isCloseTo(0.010, within(0.0005));
            Metric summary = bench.metrics.get(1);
            assertThat(summary.getKind()).isEqualTo("summary");
            assertThat(summary.getIntervalMs()).isEqualTo(100);
            assertThat(summary.getGenerationTokensPerSecond()).isCloseTo(200, within(0.1));
            assertThat(summary.getInterTokenLatencySeconds().getP99()).isCloseTo(0.010, within(0.0005));
        }
    }

    @Nested
    class Room {

        @Test
        void oneRequestAnIntervalIsLetInBeyondTheQueueSoThatCheckpointsBegin() {
            ServingBench bench = new ServingBench(1);
            int queue = ServingBench.options(1).queue();
            for (int i = 0; i < queue; i++) {
                assertThat(bench.serving.hasRoom()).isTrue();
                bench.arrive(ServingBench.prompt("r" + i, "room", 100));
            }
            assertThat(bench.serving.hasRoom()).isFalse();
            bench.clock.advanceTime(Duration.ofSeconds(11));
            assertThat(bench.serving.hasRoom()).isTrue();
            bench.arrive(ServingBench.prompt("relief", "room", 100));
            assertThat(bench.serving.hasRoom()).isFalse();
            bench.clock.advanceTime(Duration.ofSeconds(9));
            bench.serving.snapshot();
            bench.clock.advanceTime(Duration.ofSeconds(9));
            assertThat(bench.serving.hasRoom()).isFalse();
        }
    }
}
