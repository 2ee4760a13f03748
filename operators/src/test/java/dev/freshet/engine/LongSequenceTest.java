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
import java.util.Set;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Flat cost with length: 20,000 tokens of one sequence in a slot of constant size, each as fast as the first ones. */
final class LongSequenceTest {

    private static final int TOKENS = 20_000;

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"flash_global+", "relu", "gated_deltanet"})
    void memoryAndTimePerTokenStayFlat(String kind) {
        Path path = TestModels.write(folder, new TestModels.Shape(kind, 90, 2, 64, 0, 256, 3));
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, new VectorKernels(1), DecoderOptions.of(1))) {
            long bytes = model.bytesPerSlot();
            assertThat(model.contextLength()).isEqualTo(Integer.MAX_VALUE);
            Engine engine = new Engine(model, EngineConfig.of(1, Set.of()));
            SamplingParams params = SamplingParams.builder()
                    .maxTokens(TOKENS)
                    .temperature(1)
                    .seed(4)
                    .build();
            engine.submit(
                    new GenerationRequest("long", new int[] {5}, params, StopCondition.NONE, SpeculationMode.OFF, 0));
            long[] nanos = new long[TOKENS];
            for (int i = 0; i < TOKENS; i++) {
                long start = System.nanoTime();
                engine.step();
                nanos[i] = System.nanoTime() - start;
            }
            assertThat(engine.isIdle()).isTrue();
            assertThat(model.bytesPerSlot()).isEqualTo(bytes);
            // Medians over many steps, so that compilation at the start and pauses of the machine do not count.
            double early = median(nanos, 8_000, 10_000);
            double late = median(nanos, TOKENS - 2_000, TOKENS);
            assertThat(late / early)
                    .as("%s: nanoseconds a token %f then %f", kind, early, late)
                    .isLessThan(1.5);
        }
    }

    private static double median(long[] nanos, int from, int to) {
        long[] part = Arrays.copyOfRange(nanos, from, to);
        Arrays.sort(part);
        return part[part.length / 2];
    }
}
