package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.kernel.VectorKernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class EngineTest {

    private static final int VOCAB = 90;

    @TempDir
    Path folder;

    private ModelDirectory directory;
    private Decoder model;
    private Engine engine;

    @BeforeEach
    void start() {
        open("softmax", 2, 4, 64);
    }

    private void open(String kind, int slots, int queue, int prefill) {
        Path path = TestModels.write(folder.resolve(kind + slots), new TestModels.Shape(kind, VOCAB, 1, 16, 3, 64, 5));
        directory = ModelDirectory.open(path);
        model = Decoder.load(directory, new VectorKernels(1), DecoderOptions.of(slots));
        engine = new Engine(model, new EngineConfig(queue, prefill, Set.of(1), null));
    }

    @AfterEach
    void stop() {
        model.close();
        directory.close();
    }

    private static SamplingParams.Builder greedy(int tokens) {
        return SamplingParams.builder().temperature(0).maxTokens(tokens).ignoreEos(true);
    }

    private GenerationRequest request(String id, SamplingParams.Builder params, int... prompt) {
        return new GenerationRequest(id, prompt, params.build(), StopCondition.NONE, SpeculationMode.OFF, 0);
    }

    private Map<String, StepResult.Finished> drain() {
        Map<String, StepResult.Finished> out = new HashMap<>();
        while (!engine.isIdle()) {
            engine.step().finished().forEach(f -> out.put(f.id(), f));
        }
        return out;
    }

    private StepResult.Finished one(GenerationRequest request) {
        engine.submit(request);
        return Objects.requireNonNull(drain().get(request.id()));
    }

    @Nested
    class Admission {

        @Test
        void isExactAndTheQueueIsBounded() {
            for (int i = 0; i < 4; i++) {
                assertThat(engine.hasRoom()).isTrue();
                engine.submit(request("r" + i, greedy(10), 5, 6));
            }
            assertThat(engine.hasRoom()).isFalse();
            assertThatThrownBy(() -> engine.submit(request("more", greedy(1), 5)))
                    .isInstanceOf(IllegalStateException.class);
            engine.step();
            assertThat(engine.running()).isEqualTo(2);
            assertThat(engine.waiting()).isEqualTo(2);
            assertThat(engine.hasRoom()).isTrue();
            assertThat(drain()).hasSize(4);
            assertThat(engine.running()).isZero();
        }

        @Test
        void smallerPriorityRunsEarlierAndEqualOnesInOrder() {
            int[] priorities = {3, 1, 2, 1};
            for (int i = 0; i < 4; i++) {
                engine.submit(new GenerationRequest(
                        "r" + i,
                        new int[] {4},
                        greedy(3).build(),
                        StopCondition.NONE,
                        SpeculationMode.OFF,
                        priorities[i]));
            }
            List<String> order = new ArrayList<>();
            while (!engine.isIdle()) {
                engine.step().finished().forEach(f -> order.add(f.id()));
            }
            assertThat(order).containsExactly("r1", "r3", "r2", "r0");
        }

        @Test
        void refusesAnIdThatIsTaken() {
            engine.submit(request("same", greedy(3), 5));
            assertThatThrownBy(() -> engine.submit(request("same", greedy(3), 5)))
                    .isInstanceOf(IllegalStateException.class);
        }

        @Test
        void aLongPromptDoesNotHoldUpDecoding() {
            stop();
            open("relu", 2, 4, 8);
            engine.submit(request("short", greedy(30), 5));
            engine.step();
            int[] prompt = new int[200];
            Arrays.fill(prompt, 9);
            engine.submit(request("long", greedy(5), prompt));
            for (int step = 0; step < 20; step++) {
                StepResult result = engine.step();
                assertThat(result.accepted().stream().anyMatch(a -> a.id().equals("short")))
                        .isTrue();
                assertThat(result.stats().promptTokens()).isBetween(1, 8);
            }
            assertThat(drain()).containsKeys("short", "long");
        }
    }

    @Nested
    class Refusal {

        private void refused(ErrorCode code, int... prompt) {
            StepResult.Finished f = one(request("bad", greedy(4), prompt));
            assertThat(f.reason()).isEqualTo(FinishReason.ERROR);
            assertThat(Objects.requireNonNull(f.error()).code()).isEqualTo(code);
        }

        @Test
        void ofWhatCanNeverRun() {
            refused(ErrorCode.EMPTY_PROMPT);
            refused(ErrorCode.PROMPT_TOO_LONG, new int[64]);
            refused(ErrorCode.INVALID_PARAM, 3, VOCAB);
            refused(ErrorCode.INVALID_PARAM, -1);
        }

        @Test
        void leavesNeighboursAlone() {
            int[] alone = one(request("good", greedy(10), 5, 6, 7)).tokens();
            engine.submit(request("bad", greedy(10), 5, 1000));
            engine.submit(request("good", greedy(10), 5, 6, 7));
            assertThat(Objects.requireNonNull(drain().get("good")).tokens()).isEqualTo(alone);
        }
    }

    @Nested
    class Ending {

        @Test
        void byTheModelsEndTokenUnlessIgnored() {
            StepResult.Finished f = one(request("a", greedy(7).ignoreEos(false), 5));
            assertThat(f.reason()).isEqualTo(FinishReason.STOP);
            assertThat(f.tokens()[f.tokens().length - 1]).isEqualTo(1);
            assertThat(f.stop()).isEqualTo(new StopMatch(null, null));
        }

        @Test
        void byLengthOrContext() {
            assertThat(one(request("a", greedy(7), 5)).tokens()).hasSize(7);
            StepResult.Finished f = one(request("b", greedy(1000).ignoreEos(true), new int[60]));
            assertThat(f.reason()).isEqualTo(FinishReason.LENGTH);
            assertThat(f.tokens()).hasSize(4);
        }

        @Test
        void byStopTokenWhichStaysInTheOutput() {
            int[] free = one(request("a", greedy(12), 5)).tokens();
            int stop = free[5];
            int first = 0;
            while (free[first] != stop) {
                first++;
            }
            StepResult.Finished f = one(request("b", greedy(12).stopTokenIds(List.of(stop)), 5));
            assertThat(f.tokens()).isEqualTo(Arrays.copyOf(free, first + 1));
            assertThat(f.reason()).isEqualTo(FinishReason.STOP);
            assertThat(Objects.requireNonNull(f.stop()).tokenId()).isEqualTo(stop);
        }

        @Test
        void notBeforeMinTokens() {
            int[] free = one(request("a", greedy(12), 5)).tokens();
            StepResult.Finished f =
                    one(request("b", greedy(12).stopTokenIds(List.of(free[0])).minTokens(4), 5));
            assertThat(f.tokens().length).isGreaterThan(4);
            assertThat(Arrays.stream(f.tokens()).limit(4)).doesNotContain(free[0]);
        }

        @Test
        void byTheCallersConditionInTheMiddleOfADraft() {
            for (SpeculationMode mode : SpeculationMode.values()) {
                int[] seen = {0};
                StopCondition third = token -> ++seen[0] == 3 ? new StopMatch("x", null) : null;
                engine.submit(
                        new GenerationRequest("a", new int[] {5}, greedy(12).build(), third, mode, 0));
                StepResult.Finished f = Objects.requireNonNull(drain().get("a"));
                assertThat(f.tokens()).as("%s", mode).hasSize(3);
                assertThat(f.stop()).isEqualTo(new StopMatch("x", null));
                assertThat(seen[0]).isEqualTo(3);
            }
        }

        @Test
        void byCancellationWithWhatThereIs() {
            engine.submit(request("a", greedy(30), 5));
            engine.submit(request("b", greedy(30), 5));
            engine.submit(request("waiting", greedy(30), 5));
            for (int i = 0; i < 4; i++) {
                engine.step();
            }
            StepResult.Finished f = Objects.requireNonNull(engine.cancel("a"));
            assertThat(f.reason()).isEqualTo(FinishReason.ABORT);
            assertThat(f.tokens()).hasSize(4);
            assertThat(Objects.requireNonNull(engine.cancel("waiting")).tokens())
                    .isEmpty();
            assertThat(engine.cancel("nobody")).isNull();
            assertThat(drain()).containsOnlyKeys("b");
        }
    }

    @Nested
    class Slots {

        @Test
        void areCleanForTheNextSequence() {
            for (String kind : List.of("softmax", "flash_global+", "yoso", "gated_deltanet")) {
                stop();
                open(kind, 1, 4, 64);
                int[] fresh = one(request("a", greedy(20), 7, 8, 9)).tokens();
                one(request("other", greedy(40), 3, 2, 3, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18));
                assertThat(one(request("a", greedy(20), 7, 8, 9)).tokens())
                        .as(kind)
                        .isEqualTo(fresh);
            }
        }
    }

    @Nested
    class Logprobs {

        @Test
        void comeWithEveryTokenMostProbableFirst() {
            StepResult.Finished f = one(request("a", greedy(6).logprobs(3), 5, 6));
            assertThat(f.logprobs()).hasSize(6);
            f.logprobs().forEach(l -> {
                assertThat(l.topTokens()).hasSize(3);
                assertThat(l.topTokens()[0]).isEqualTo(l.token());
                assertThat(l.topLogprobs()[0]).isEqualTo(l.logprob()).isNegative();
            });
        }
    }

    @Nested
    class TypicalAcceptance {

        @Test
        void endsWithinTheLimitsAndCountsItsGuesses() {
            engine.submit(new GenerationRequest(
                    "a",
                    new int[] {5, 6},
                    SamplingParams.builder().maxTokens(33).seed(3).build(),
                    StopCondition.NONE,
                    SpeculationMode.TYPICAL,
                    0));
            StepResult.Finished f = Objects.requireNonNull(drain().get("a"));
            assertThat(f.tokens().length).isBetween(1, 33);
            assertThat(f.stats().drafts()).isPositive();
            assertThat(f.stats().acceptedDraftTokens()).isLessThan(33);
        }
    }
}
