package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.ReferenceKernels;
import dev.freshet.kernel.VectorKernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.CounterRng;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The promise of the same bits, as equality: 200 prompts, each at temperature 0 and 1, give the same tokens and log-probabilities whatever
 * the batch, the chunking, the threads, the drafts, and whether the sequences were restored midway.
 */
final class EngineEqualityTest {

    /** 200 prompts, each at temperature 0 and 1. */
    private static final int REQUESTS = 400;

    @TempDir
    Path folder;

    static Stream<String> kinds() {
        return Stream.of(
                "softmax",
                "flash_local",
                "flash_local+",
                "flash_global",
                "flash_global+",
                "linformer",
                "linformer+",
                "performer",
                "performer+",
                "transnormer",
                "transnormer+",
                "yoso",
                "yoso+",
                "relu",
                "relu+",
                "hedgehog",
                "hedgehog+",
                "retnet",
                "gla",
                "gated_deltanet",
                "transnormer_diag",
                "yoso_local");
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void everyPathGivesTheSameText(String kind) {
        Path model = TestModels.write(
                folder.resolve("model"), new TestModels.Shape(kind, 90, 2, 16, 3, 256, 7 + kind.hashCode()));
        Map<String, String> alone = run(model, () -> new VectorKernels(1), 1, 64, SpeculationMode.OFF, 0);
        assertThat(alone).hasSize(REQUESTS);
        assertThat(run(model, () -> new VectorKernels(2), 32, 256, SpeculationMode.OFF, 0))
                .as("32 slots, 2 threads")
                .isEqualTo(alone);
        assertThat(run(model, () -> new VectorKernels(3), 5, 7, SpeculationMode.OFF, 0))
                .as("5 slots, 3 threads, 7 prompt tokens a step")
                .isEqualTo(alone);
        assertThat(run(model, () -> new VectorKernels(1), 8, 64, SpeculationMode.TREE, 0))
                .as("tree drafts")
                .isEqualTo(alone);
        assertThat(run(model, () -> new VectorKernels(2), 8, 33, SpeculationMode.LOOKUP, 0))
                .as("lookup drafts")
                .isEqualTo(alone);
        assertThat(run(model, () -> new VectorKernels(2), 6, 50, SpeculationMode.AUTO, 11))
                .as("automatic drafts, restored every 11 steps")
                .isEqualTo(alone);
        Map<String, String> some = new TreeMap<>(alone);
        some.keySet().removeIf(id -> Integer.parseInt(id.substring(1)) >= 60);
        assertThat(run(model, () -> new VectorKernels(1), 7, 20, SpeculationMode.TREE, -3, 60))
                .as("tree drafts, restored with their states every 3 steps")
                .isEqualTo(some);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void everyPathGivesTheSameTextOnReferenceKernels(String kind) {
        Path model = TestModels.write(
                folder.resolve("model"), new TestModels.Shape(kind, 90, 1, 16, 3, 256, 9 + kind.hashCode()));
        Map<String, String> alone = run(model, ReferenceKernels::new, 1, 64, SpeculationMode.OFF, 0, 40);
        assertThat(run(model, ReferenceKernels::new, 7, 13, SpeculationMode.OFF, 0, 40))
                .isEqualTo(alone);
        assertThat(run(model, ReferenceKernels::new, 7, 64, SpeculationMode.TREE, 5, 40))
                .isEqualTo(alone);
        assertThat(run(model, ReferenceKernels::new, 7, 64, SpeculationMode.LOOKUP, 0, 40))
                .isEqualTo(alone);
    }

    private static Map<String, String> run(
            Path model, Supplier<Kernels> kernels, int slots, int prefill, SpeculationMode mode, int restoreEvery) {
        return run(model, kernels, slots, prefill, mode, restoreEvery, REQUESTS);
    }

    /**
     * Runs all prompts and returns tokens, reason and log-probabilities of each as text.
     *
     * @param restoreEvery steps between two restores from tokens; negative from states
     */
    private static Map<String, String> run(
            Path path,
            Supplier<Kernels> kernels,
            int slots,
            int prefill,
            SpeculationMode mode,
            int restoreEvery,
            int prompts) {
        Map<String, String> out = new TreeMap<>();
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, kernels.get(), DecoderOptions.of(slots))) {
            EngineConfig config = new EngineConfig(10_000, prefill, Set.of(1), null);
            Engine engine = new Engine(model, config);
            for (int i = 0; i < prompts; i++) {
                engine.submit(request(i, mode));
            }
            int steps = 0;
            int acceptedGuesses = 0;
            while (!engine.isIdle()) {
                StepResult step = engine.step();
                acceptedGuesses += step.stats().acceptedDraftTokens();
                for (StepResult.Finished f : step.finished()) {
                    List<String> logprobs = new ArrayList<>();
                    f.logprobs().forEach(l -> logprobs.add(l.token() + ":" + l.logprob()));
                    out.put(f.id(), f.reason() + " " + Arrays.toString(f.tokens()) + " " + logprobs);
                }
                if (restoreEvery != 0 && ++steps % restoreEvery == 0 && steps < 60) {
                    CheckpointPolicy policy = restoreEvery > 0 ? CheckpointPolicy.TOKENS : CheckpointPolicy.STATE;
                    engine = restored(engine, config, model, policy);
                }
            }
            // A mode that never accepts a guess would prove nothing; few prompts may have none by chance.
            boolean enough = prompts == REQUESTS || mode == SpeculationMode.OFF;
            assertThat(acceptedGuesses > 0 || !enough)
                    .as("guesses accepted in mode %s", mode)
                    .isEqualTo(mode != SpeculationMode.OFF);
        }
        return out;
    }

    /** A new engine on the same model that continues from a snapshot of the old one. */
    private static Engine restored(Engine engine, EngineConfig config, Decoder model, CheckpointPolicy policy) {
        List<SequenceSnapshot> snapshot = engine.snapshot(policy, 0);
        snapshot.forEach(s -> engine.cancel(s.id()));
        Engine next = new Engine(model, config);
        for (SequenceSnapshot s : snapshot) {
            int again = next.restore(s, StopCondition.NONE);
            assertThat(again).isEqualTo(policy == CheckpointPolicy.STATE ? 0 : s.committed());
        }
        return next;
    }

    private static GenerationRequest request(int i, SpeculationMode mode) {
        int p = i / 2;
        int[] prompt = new int[1 + (int) (CounterRng.uniform(5, p) * 60)];
        for (int t = 0; t < prompt.length; t++) {
            // Few different tokens, so that lookups find something.
            prompt[t] = 2 + (int) (CounterRng.uniform(100 + p, t) * 9);
        }
        SamplingParams.Builder params = SamplingParams.builder()
                .maxTokens(1 + (int) (CounterRng.uniform(6, p) * 40))
                .seed(1000 + i)
                .temperature(i % 2)
                .logprobs(p % 5 == 0 ? 2 : -1);
        if (p % 3 == 0) {
            params.repetitionPenalty(1.2).presencePenalty(0.3).topP(0.9).minTokens(5);
        }
        if (p % 7 == 0) {
            params.topK(5).minP(0.01).frequencyPenalty(0.2).stopTokenIds(List.of(17, 23));
        }
        return new GenerationRequest("p" + i, prompt, params.build(), StopCondition.NONE, mode, 0);
    }
}
