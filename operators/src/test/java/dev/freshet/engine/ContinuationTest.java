package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.kernel.VectorKernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A sequence that goes on from another gives the bits of one sequence with the tokens of both, and runs what is new alone. */
final class ContinuationTest {

    private static final int VOCAB = 90;
    private static final int GROUP = 16;
    private static final EngineConfig CONFIG = new EngineConfig(100, 7, Set.of(1), null);

    @TempDir
    Path folder;

    private interface Use {
        void with(Decoder model);
    }

    private void use(String kind, Use use) {
        Path path = folder.resolve(kind);
        TestModels.write(path, new TestModels.Shape(kind, VOCAB, 2, GROUP, 3, 256, 11 + kind.hashCode()));
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, new VectorKernels(1), DecoderOptions.of(2))) {
            use.with(model);
        }
    }

    private static GenerationRequest request(int[] prompt, int tokens, SpeculationMode mode, boolean kept) {
        SamplingParams params = SamplingParams.builder()
                .maxTokens(tokens)
                .temperature(1)
                .seed(7)
                .logprobs(1)
                .repetitionPenalty(1.1)
                .presencePenalty(0.3)
                .ignoreEos(true)
                .build();
        return new GenerationRequest("s", prompt, params, StopCondition.NONE, mode, 0, kept);
    }

    private static int[] tokens(int count, int salt) {
        int[] ids = new int[count];
        // Few different tokens, so that lookups find something.
        Arrays.setAll(ids, i -> 2 + (i * i + salt) % 7);
        return ids;
    }

    private static int[] joined(int[] a, int[] b) {
        int[] all = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, all, a.length, b.length);
        return all;
    }

    private static StepResult.Finished drain(Engine engine, int[] prompt) {
        StepResult.@Nullable Finished end = null;
        while (!engine.isIdle()) {
            StepResult step = engine.step();
            prompt[0] += step.stats().promptTokens();
            for (StepResult.Finished f : step.finished()) {
                end = f;
            }
        }
        return Objects.requireNonNull(end);
    }

    private static String text(StepResult.Finished f) {
        StringBuilder out = new StringBuilder(f.reason() + Arrays.toString(f.tokens()));
        f.logprobs().forEach(l -> out.append(' ').append(l.logprob()));
        return out.toString();
    }

    @ParameterizedTest
    @MethodSource("dev.freshet.engine.EngineEqualityTest#kinds")
    void threeTurnsAreOneSequence(String kind) {
        use(kind, model -> {
            for (SpeculationMode mode : List.of(SpeculationMode.OFF, SpeculationMode.TREE, SpeculationMode.LOOKUP)) {
                for (int first = 1; first <= GROUP + 1; first += mode == SpeculationMode.OFF ? 1 : 3) {
                    turns(model, mode, first);
                }
            }
        });
    }

    private static void turns(Decoder model, SpeculationMode mode, int first) {
        Engine engine = new Engine(model, CONFIG);
        engine.submit(request(tokens(19, 3), first, mode, true));
        StepResult.Finished end = drain(engine, new int[1]);
        int[] all = joined(tokens(19, 3), end.tokens());
        for (int turn = 0; turn < 2; turn++) {
            Continuation kept = Objects.requireNonNull(end.kept());
            assertThat(kept.ids()).isEqualTo(all);
            assertThat(kept.committed()).isEqualTo(all.length - 1);
            int[] own = tokens(5 + 9 * turn, turn);
            int[] prompt = joined(all, own);
            int cached = engine.follow(request(prompt, 13, mode, true), kept);
            assertThat(cached).isEqualTo(kept.committed());
            int[] run = new int[1];
            end = drain(engine, run);
            assertThat(run[0])
                    .as("own tokens and the last one of the turn before")
                    .isEqualTo(own.length + 1);
            Engine whole = new Engine(model, CONFIG);
            whole.submit(request(prompt, 13, SpeculationMode.OFF, false));
            StepResult.Finished expected = drain(whole, new int[1]);
            assertThat(text(end)).isEqualTo(text(expected));
            assertThat(expected.kept()).isNull();
            all = joined(prompt, end.tokens());
        }
    }

    @Test
    void aTokenThatEndsTheTextIsNoPartOfIt() {
        use("relu+", model -> {
            Engine engine = new Engine(model, CONFIG);
            engine.submit(request(tokens(19, 3), 12, SpeculationMode.OFF, true));
            int[] text = drain(engine, new int[1]).tokens();
            int stop = text[7];
            int length = Arrays.stream(text).boxed().toList().indexOf(stop);
            GenerationRequest plain = request(tokens(19, 3), 12, SpeculationMode.TREE, true);
            SamplingParams params =
                    plain.params().toBuilder().stopTokenIds(List.of(stop)).build();
            engine.submit(new GenerationRequest(
                    "s", plain.prompt(), params, StopCondition.NONE, SpeculationMode.TREE, 0, true));
            StepResult.Finished end = drain(engine, new int[1]);
            assertThat(end.reason()).isEqualTo(FinishReason.STOP);
            Continuation kept = Objects.requireNonNull(end.kept());
            assertThat(kept.ids()).isEqualTo(joined(tokens(19, 3), Arrays.copyOf(text, length)));
            assertThat(kept.committed()).isEqualTo(kept.ids().length);
            int[] own = tokens(6, 1);
            engine.follow(request(joined(kept.ids(), own), 9, SpeculationMode.OFF, false), kept);
            int[] run = new int[1];
            String next = text(drain(engine, run));
            assertThat(run[0]).isEqualTo(own.length);
            engine.submit(request(joined(kept.ids(), own), 9, SpeculationMode.OFF, false));
            assertThat(next).isEqualTo(text(drain(engine, new int[1])));
        });
    }

    @Test
    void aStateThatDoesNotFitIsComputedAgain() {
        use("gla", model -> {
            Engine engine = new Engine(model, CONFIG);
            engine.submit(request(tokens(19, 3), 12, SpeculationMode.OFF, true));
            Continuation kept = Objects.requireNonNull(drain(engine, new int[1]).kept());
            float[] values = Objects.requireNonNull(kept.state()).values();
            GenerationRequest next = request(joined(kept.ids(), tokens(6, 1)), 9, SpeculationMode.OFF, false);
            engine.follow(next, kept);
            String expected = text(drain(engine, new int[1]));
            for (Continuation strange : List.of(
                    kept.withoutState(),
                    new Continuation(kept.ids(), kept.committed(), new SequenceState("cuda/own/0", values, null)),
                    new Continuation(kept.ids(), 0, kept.state()),
                    new Continuation(kept.ids(), next.prompt().length, kept.state()))) {
                assertThat(engine.follow(next, strange)).isZero();
                int[] run = new int[1];
                assertThat(text(drain(engine, run))).isEqualTo(expected);
                assertThat(run[0]).isEqualTo(next.prompt().length);
            }
        });
    }

    @Test
    void nothingIsKeptOfWhatWasCutShort() {
        use("relu", model -> {
            Engine engine = new Engine(model, CONFIG);
            engine.submit(request(tokens(19, 3), 12, SpeculationMode.OFF, true));
            for (int i = 0; i < 6; i++) {
                engine.step();
            }
            assertThat(Objects.requireNonNull(engine.cancel("s")).kept()).isNull();
        });
    }
}
