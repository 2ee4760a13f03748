package dev.freshet.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.freshet.engine.Engine;
import dev.freshet.engine.EngineConfig;
import dev.freshet.engine.GenerationRequest;
import dev.freshet.engine.StepResult;
import dev.freshet.engine.StopCondition;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.model.Decoder;
import dev.freshet.model.ModelDirectory;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A real little model tells its published story, character for character. */
final class StoriesTest {

    @ParameterizedTest
    @CsvSource({"reference, OFF", "vector, OFF", "vector, LOOKUP"})
    void twoHundredGreedyTokensAreThePublishedText(String kernelsName, SpeculationMode mode) throws IOException {
        Path folder = Path.of(System.getProperty("freshet.shared", "../shared"), "data/models/stories260k");
        assumeTrue(Files.isDirectory(folder), "stories260k is not here: " + folder);
        try (Kernels kernels = KernelsProvider.select(kernelsName, 2);
                ModelDirectory directory = ModelDirectory.open(folder);
                Tokenizer tokenizer = Tokenizer.load(folder);
                Decoder model = Decoder.load(directory, kernels, 1)) {
            Engine engine = new Engine(model, EngineConfig.of(1, directory.endTokens()));
            SamplingParams params =
                    SamplingParams.builder().temperature(0).maxTokens(200).build();
            engine.submit(new GenerationRequest("story", tokenizer.encode(""), params, StopCondition.NONE, mode, 0));
            List<StepResult.Finished> done = List.of();
            while (done.isEmpty()) {
                done = engine.step().finished();
            }
            String expected = Files.readString(folder.resolve("expected_greedy_200.txt"));
            assertThat(tokenizer.decode(done.get(0).tokens(), true)).isEqualTo(expected);
        }
    }
}
