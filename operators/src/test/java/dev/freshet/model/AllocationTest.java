package dev.freshet.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.AttentionOptions;
import dev.freshet.attention.LayerAttention;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.tensor.DType;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A step of a model allocates nothing. Vectors are objects until the JIT compiler has seen a kernel often enough, so the test waits for
 * a window of steps without allocation, the pool's threads included, and fails when none comes.
 */
final class AllocationTest {

    private static final int WINDOW = 128;
    private static final int LIMIT = 400;
    private static final int SEQUENCES = 3;

    /** The smallest object has 16 bytes, so this is less than one for each step; waiting threads park with a little. */
    private static final long NOISE = 15 * WINDOW;

    private final Batch batch = new Batch(SEQUENCES, 16, 16);
    private final Paths paths = new Paths(SEQUENCES, 16);
    private final int[] path = {0};
    private final int[] tokens = new int[WINDOW];

    @Test
    void decodingAllocatesNothing() {
        decode(new LayerAttention(AttentionKind.FLASH_GLOBAL, true), WeightFormat.F32);
    }

    /** All but yoso_local, whose arc cosines are StrictMath's, which has arrays of its own. */
    static Stream<LayerAttention> layers() {
        return Arrays.stream(AttentionKind.values())
                .filter(kind -> kind != AttentionKind.YOSO_LOCAL)
                .flatMap(kind -> Stream.of(false, true)
                        .filter(augmented -> !augmented || kind.augmentable())
                        .map(augmented -> new LayerAttention(kind, augmented)));
    }

    @ParameterizedTest
    @MethodSource("layers")
    @Tag("nightly")
    void decodingAllocatesNothingWhateverTheKindAndFormat(LayerAttention layer) {
        for (WeightFormat format : WeightFormat.values()) {
            decode(layer, format);
        }
    }

    private void decode(LayerAttention layer, WeightFormat format) {
        ModelConfig config = config(layer);
        DecoderOptions options = new DecoderOptions(SEQUENCES, 16, 16, WINDOW, format);
        try (Decoder decoder = Decoder.load(
                config,
                new RandomWeights(config, DType.F32, 1),
                KernelsProvider.select("vector", 2),
                options,
                layers -> {})) {
            long[] ids = engineThreads();
            long least = Long.MAX_VALUE;
            for (int i = 0; i < LIMIT && least > NOISE; i++) {
                long before = allocated(ids);
                for (int position = 0; position < WINDOW; position++) {
                    step(decoder, position);
                }
                least = Math.min(least, allocated(ids) - before);
                for (int s = 0; s < SEQUENCES; s++) {
                    decoder.release(s, WINDOW);
                }
            }
            assertThat(least)
                    .as("bytes allocated by %d steps, %s, %s", WINDOW, layer, format)
                    .isLessThanOrEqualTo(NOISE);
        }
    }

    private void step(Decoder decoder, int position) {
        batch.clear();
        paths.clear();
        for (int s = 0; s < SEQUENCES; s++) {
            batch.addChunk(s, tokens, position, 1, true);
        }
        decoder.forward(batch);
        for (int s = 0; s < SEQUENCES; s++) {
            paths.add(s, path, 1);
        }
        decoder.commit(paths);
    }

    /** This thread and those of the pool. */
    private static long[] engineThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(t -> t == Thread.currentThread() || t.getName().startsWith("freshet-kernel"))
                .mapToLong(Thread::getId)
                .toArray();
    }

    private static long allocated(long[] ids) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long sum = 0;
        for (long id : ids) {
            sum += Math.max(0, threads.getThreadAllocatedBytes(id));
        }
        return sum;
    }

    private static ModelConfig config(LayerAttention layer) {
        return new ModelConfig(
                ModelConfig.Architecture.LLAMA,
                64,
                4,
                2,
                16,
                96,
                200,
                WINDOW,
                1e-6,
                new RopeConfig(new double[] {1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003}, 1),
                true,
                new AttentionOptions(16, 8, 0, 4, 3, 8, 32),
                List.of(layer, layer),
                0,
                List.of());
    }
}
