package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.cuda.FakeDriver;
import dev.freshet.kernel.Kernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** All device memory is claimed while the model is loaded, and none later: full batches, trees, every sampling parameter, checkpoints. */
final class CudaMemoryTest {

    private static final int SLOTS = 4;

    @TempDir
    private Path folder = Path.of("");

    private static GenerationRequest request(int i) {
        int[] prompt = new int[1 + 37 * i % 60];
        Arrays.setAll(prompt, t -> 2 + t * i % 9);
        SamplingParams params = SamplingParams.builder()
                .maxTokens(6 + i)
                .seed(i)
                .temperature(i % 3)
                .topP(i % 2 == 0 ? 1 : 0.9)
                .topK(i % 4 == 0 ? 5 : 0)
                .repetitionPenalty(i % 5 == 0 ? 1.2 : 1)
                .logitBias(i % 3 == 0 ? Map.of(3, 2.0) : Map.of())
                .logprobs(i % 4 - 1)
                .build();
        SpeculationMode mode = SpeculationMode.values()[i % SpeculationMode.values().length];
        return new GenerationRequest("r" + i, prompt, params, StopCondition.NONE, mode, 0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"relu+", "softmax", "gla"})
    void nothingIsClaimedAfterTheStart(String kind) {
        Path path = TestModels.write(folder.resolve(kind), new TestModels.Shape(kind, 90, 2, 16, 3, 256, 3));
        try (ModelDirectory directory = ModelDirectory.open(path);
                Kernels kernels = FakeDriver.open();
                Decoder model = Decoder.load(directory, kernels, DecoderOptions.of(SLOTS))) {
            int claimed = FakeDriver.allocations();
            Engine engine = new Engine(model, new EngineConfig(100, 40, Set.of(1), null));
            for (int i = 0; i < 4 * SLOTS; i++) {
                engine.submit(request(i));
            }
            while (!engine.isIdle()) {
                engine.step();
                engine.snapshot(CheckpointPolicy.AUTO, 1 << 20);
            }
            assertThat(FakeDriver.allocations()).isEqualTo(claimed).isGreaterThan(20);
            assertThatThrownBy(() -> kernels.allocate(1)).hasMessageContaining("after it. Claim them before prepare()");
        }
    }
}
