package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.cuda.FakeDriver;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.Model;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.CounterRng;
import java.lang.reflect.Proxy;
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
        assertThat(run(model, 4, 40, SpeculationMode.TREE, true))
                .as("drawn on the host from the same logits")
                .isEqualTo(alone);
        assertThat(run(model, PROMPTS, 40, SpeculationMode.OFF))
                .as("all at once")
                .isEqualTo(alone);
        assertThat(run(model, 3, 7, SpeculationMode.TREE))
                .as("3 slots, 7 prompt tokens a step, tree drafts")
                .isEqualTo(alone);
    }

    private static Map<String, String> run(Path path, int slots, int prefill, SpeculationMode mode) {
        return run(path, slots, prefill, mode, false);
    }

    /** The model as it is, or as if it could not draw; where it can, nobody asks for its logits. */
    private static Model drawing(Decoder decoder, boolean onHost) {
        return (Model) Proxy.newProxyInstance(
                Model.class.getClassLoader(), new Class<?>[] {Model.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("draws")) {
                        return !onHost;
                    }
                    assertThat(method.getName().equals("logits") && !onHost)
                            .as("logits cross the bus")
                            .isFalse();
                    return method.invoke(decoder, arguments);
                });
    }

    private static Map<String, String> run(
            Path path, int slots, int prefill, SpeculationMode mode, boolean drawOnHost) {
        Map<String, String> out = new TreeMap<>();
        DecoderOptions options = DecoderOptions.of(slots).withWeights(WeightFormat.BF16);
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, FakeDriver.open(), options)) {
            Engine engine = new Engine(drawing(model, drawOnHost), new EngineConfig(100, prefill, Set.of(1), null));
            for (int i = 0; i < PROMPTS; i++) {
                engine.submit(request(i, mode));
            }
            while (!engine.isIdle()) {
                for (StepResult.Finished f : engine.step().finished()) {
                    StringBuilder text = new StringBuilder(f.reason() + " " + Arrays.toString(f.tokens()));
                    f.logprobs().forEach(l -> text.append(' ')
                            .append(l.logprob())
                            .append(Arrays.toString(l.topTokens()))
                            .append(Arrays.toString(l.topLogprobs())));
                    out.put(f.id(), text.toString());
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
                .topP(i % 3 == 0 ? 0.8 : 1)
                .topK(i % 4 == 1 ? 12 : 0)
                .minP(i % 5 == 2 ? 0.05 : 0)
                .repetitionPenalty(i % 3 == 1 ? 1.2 : 1)
                .frequencyPenalty(i % 6 == 3 ? 0.4 : 0)
                .logitBias(i % 5 == 4 ? Map.of(4, 1.5, 7, -3.0) : Map.of())
                .minTokens(i % 4 == 2 ? 3 : 0)
                .logprobs(i % 3 == 2 ? 4 : -1)
                .build();
        return new GenerationRequest("p" + i, prompt, params, StopCondition.NONE, mode, 0);
    }
}
