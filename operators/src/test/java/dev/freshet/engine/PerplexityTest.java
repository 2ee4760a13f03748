package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.freshet.kernel.VectorKernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PerplexityTest {

    @TempDir
    Path folder;

    private interface Check {
        void run(Decoder model);
    }

    private void with(String kind, Check check) {
        Path path = TestModels.write(folder.resolve(kind), new TestModels.Shape(kind, 90, 1, 16, 0, 64, 5));
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, new VectorKernels(1), DecoderOptions.of(1))) {
            check.run(model);
        }
    }

    @Test
    void agreesWithTheLogProbabilitiesOfGeneration() {
        for (String kind : List.of("softmax", "flash_global+", "gla")) {
            with(kind, model -> {
                Engine engine = new Engine(model, EngineConfig.of(1, Set.of()));
                SamplingParams params = SamplingParams.builder()
                        .maxTokens(40)
                        .seed(8)
                        .logprobs(0)
                        .build();
                engine.submit(
                        new GenerationRequest("a", new int[] {4}, params, StopCondition.NONE, SpeculationMode.OFF, 0));
                StepResult.Finished f = null;
                while (f == null) {
                    List<StepResult.Finished> done = engine.step().finished();
                    f = done.isEmpty() ? null : done.get(0);
                }
                int[] text = new int[41];
                text[0] = 4;
                System.arraycopy(f.tokens(), 0, text, 1, 40);
                double expected =
                        -f.logprobs().stream().mapToDouble(l -> l.logprob()).sum();
                Perplexity.Result streamed = Perplexity.streaming(model, text, n -> {});
                assertThat(streamed.tokens()).isEqualTo(40);
                assertThat(streamed.negativeLogLikelihood()).as(kind).isCloseTo(expected, within(1e-6));
                Perplexity.Result again = Perplexity.windowed(model, text, 41, n -> {});
                assertThat(again).isEqualTo(streamed);
            });
        }
    }

    @Test
    void aWindowScoresEveryTokenOnce() {
        with("softmax", model -> {
            int[] text = new int[500];
            for (int i = 0; i < text.length; i++) {
                text[i] = (i * i) % 90;
            }
            for (int window : new int[] {2, 3, 10, 63, 64}) {
                assertThat(Perplexity.windowed(model, text, window, n -> {}).tokens())
                        .isEqualTo(499);
            }
            assertThatThrownBy(() -> Perplexity.streaming(model, text, n -> {})).hasMessageContaining("Give a window");
            assertThatThrownBy(() -> Perplexity.windowed(model, text, 65, n -> {}))
                    .hasMessageContaining("window");
        });
    }
}
