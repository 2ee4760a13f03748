package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.cuda.FakeDriver;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.CounterRng;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The promise of the same bits with BF16 weights, whose products run on tensor cores in three forms. */
final class CudaEngineEqualityTest {

    private static final int PROMPTS = 10;

    @TempDir
    private Path folder = Path.of("");

    @ParameterizedTest
    @ValueSource(strings = {"softmax", "relu+", "linformer+", "gated_deltanet"})
    void everyPathGivesTheSameText(String kind) {
        Path model = TestModels.write(
                folder.resolve("model"), new TestModels.Shape(kind, 90, 2, 16, 3, 256, 7 + kind.hashCode()));
        Map<String, String> alone = run(model, 1, 64, SpeculationMode.OFF);
        assertThat(alone).hasSize(PROMPTS);
        assertThat(run(model, PROMPTS, 40, SpeculationMode.OFF))
                .as("all at once")
                .isEqualTo(alone);
        assertThat(run(model, 3, 7, SpeculationMode.TREE))
                .as("3 slots, 7 prompt tokens a step, tree drafts")
                .isEqualTo(alone);
    }

    private static Map<String, String> run(Path path, int slots, int prefill, SpeculationMode mode) {
        Map<String, String> out = new TreeMap<>();
        DecoderOptions options = DecoderOptions.of(slots).withWeights(WeightFormat.BF16);
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, FakeDriver.open(), options)) {
            Engine engine = new Engine(model, new EngineConfig(100, prefill, Set.of(1), null));
            for (int i = 0; i < PROMPTS; i++) {
                engine.submit(request(i, mode));
            }
            while (!engine.isIdle()) {
                for (StepResult.Finished f : engine.step().finished()) {
                    out.put(f.id(), f.reason() + " " + Arrays.toString(f.tokens()));
                }
            }
        }
        return out;
    }

    private static GenerationRequest request(int i, SpeculationMode mode) {
        int[] prompt = new int[1 + (int) (CounterRng.uniform(5, i) * 40)];
        for (int t = 0; t < prompt.length; t++) {
            prompt[t] = 2 + (int) (CounterRng.uniform(100 + i, t) * 9);
        }
        SamplingParams params = SamplingParams.builder()
                .maxTokens(4 + i)
                .seed(1000 + i)
                .temperature(i % 2)
                .build();
        return new GenerationRequest("p" + i, prompt, params, StopCondition.NONE, mode, 0);
    }
}
