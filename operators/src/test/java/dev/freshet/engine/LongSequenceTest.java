package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.attention.AttentionKind;
import dev.freshet.kernel.VectorKernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Flat cost with length: 20,000 tokens of one sequence in a slot of constant size, each as fast as the first ones. */
final class LongSequenceTest {

    private static final int TOKENS = 20_000;
    private static final int FEW = 1_500;

    /** What a sequence keeps of each token: its id, and what the engine holds of it for the answer. */
    private static final long BYTES_A_TOKEN = 64;

    /** What the virtual machine itself may gather meanwhile. */
    private static final long NOISE = 2 << 20;

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"flash_global+", "relu", "gated_deltanet"})
    void memoryAndTimePerTokenStayFlat(String kind) {
        run(kind, TOKENS, true);
    }

    static Stream<String> kinds() {
        return Arrays.stream(AttentionKind.values())
                .filter(kind -> kind != AttentionKind.SOFTMAX)
                .flatMap(kind -> Stream.of(kind.id(), kind.id() + "+")
                        .filter(label -> !label.endsWith("+") || kind.augmentable()));
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void memoryStaysFlatForEveryKind(String kind) {
        run(kind, FEW, false);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    @Tag("nightly")
    void memoryAndTimePerTokenStayFlatForEveryKind(String kind) {
        run(kind, TOKENS, true);
    }

    private void run(String kind, int tokens, boolean timed) {
        Path path = TestModels.write(folder, new TestModels.Shape(kind, 90, 2, 64, 0, 256, 3));
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, new VectorKernels(1), DecoderOptions.of(1))) {
            long bytes = model.bytesPerSlot();
            assertThat(model.contextLength()).isEqualTo(Integer.MAX_VALUE);
            Engine engine = new Engine(model, EngineConfig.of(1, Set.of()));
            SamplingParams params = SamplingParams.builder()
                    .maxTokens(tokens)
                    .temperature(1)
                    .seed(4)
                    .build();
            engine.submit(
                    new GenerationRequest("long", new int[] {5}, params, StopCondition.NONE, SpeculationMode.OFF, 0));
            long[] nanos = new long[tokens];
            long heap = 0;
            for (int i = 0; i < tokens; i++) {
                if (i == tokens / 2) {
                    heap = usedHeap();
                }
                if (i == tokens - 1) {
                    assertThat(usedHeap() - heap)
                            .as("%s: heap gathered by %d tokens", kind, tokens - tokens / 2)
                            .isLessThan(NOISE + BYTES_A_TOKEN * tokens);
                }
                long start = System.nanoTime();
                engine.step();
                nanos[i] = System.nanoTime() - start;
            }
            assertThat(engine.isIdle()).isTrue();
            assertThat(model.bytesPerSlot()).isEqualTo(bytes);
            if (timed) {
                // Medians over many steps, so that compilation at the start and pauses of the machine do not count.
                double early = median(nanos, 8_000, 10_000);
                double late = median(nanos, tokens - 2_000, tokens);
                assertThat(late / early)
                        .as("%s: nanoseconds a token %f then %f", kind, early, late)
                        .isLessThan(1.5);
            }
        }
    }

    /** Bytes that are still reachable. */
    private static long usedHeap() {
        MemoryMXBean memory = ManagementFactory.getMemoryMXBean();
        memory.gc();
        return memory.getHeapMemoryUsage().getUsed();
    }

    private static double median(long[] nanos, int from, int to) {
        long[] part = Arrays.copyOfRange(nanos, from, to);
        Arrays.sort(part);
        return part[part.length / 2];
    }
}
