package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.cuda.FakeDriver;
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
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A checkpoint's copy of a state leaves the device while decoding goes on, and is that of the moment it was asked for. */
final class CudaStateCopyTest {

    private static final int GROUP = 16;
    private static final int PROMPT = 2 * GROUP + 1;

    @TempDir
    private Path folder = Path.of("");

    @AfterEach
    void release() {
        FakeDriver.holdCopies(false);
    }

    private static GenerationRequest request(String id) {
        int[] prompt = new int[PROMPT];
        Arrays.setAll(prompt, i -> 2 + i * i % 7);
        SamplingParams params = SamplingParams.builder()
                .maxTokens(40)
                .temperature(0)
                .ignoreEos(true)
                .build();
        return new GenerationRequest(id, prompt, params, StopCondition.NONE, SpeculationMode.OFF, 0);
    }

    private static Engine engine(Decoder model) {
        Engine engine = new Engine(model, new EngineConfig(100, 2 * PROMPT, Set.of(1), null));
        engine.submit(request("a"));
        engine.submit(request("b"));
        return engine;
    }

    /** Steps until so many tokens of both sequences are committed. */
    private static void run(Engine engine, int committed) {
        while (engine.snapshot(CheckpointPolicy.TOKENS, 0).stream().anyMatch(s -> s.committed() < committed)) {
            engine.step();
        }
    }

    private static List<SequenceState> states(Engine engine) {
        return engine.snapshot(CheckpointPolicy.STATE, 0).stream()
                .map(s -> Objects.requireNonNull(s.state()))
                .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"relu+", "softmax", "gated_deltanet", "linformer+"})
    void decodingGoesOnAndTheCopyIsThatOfItsMoment(String kind) throws Exception {
        Path path = TestModels.write(
                folder.resolve(kind), new TestModels.Shape(kind, 90, 2, GROUP, 0, 256, kind.hashCode()));
        int cut = PROMPT + 6;
        int edge = 3 * GROUP;
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, FakeDriver.open(), DecoderOptions.of(2))) {
            Engine engine = engine(model);
            run(engine, cut);
            List<float[]> expected =
                    states(engine).stream().map(SequenceState::values).toList();
            FakeDriver.holdCopies(true);
            List<SequenceState> states = states(engine);
            // No copy moves, and still the group fills up to its edge.
            run(engine, edge - 1);
            CompletableFuture<Void> freed = CompletableFuture.runAsync(
                    () -> FakeDriver.holdCopies(false), CompletableFuture.delayedExecutor(200, TimeUnit.MILLISECONDS));
            // The step that closes the group waits for the copies of the slots it changes; so does the end of a
            // sequence.
            run(engine, edge + 3);
            engine.cancel("a");
            for (int i = 0; i < states.size(); i++) {
                assertThat(states.get(i).values()).as("sequence %d", i).isEqualTo(expected.get(i));
            }
            freed.get(10, TimeUnit.SECONDS);
            assertThat(expected.get(0)).isEqualTo(expected.get(1)).isNotEqualTo(new float[expected.get(0).length]);
        }
    }
}
