package dev.freshet.benchmark;

import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.kernel.Matrix;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.sampling.CounterRng;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One matrix product through the seam of the engine. Several matrices take turns, so that together they exceed the caches as the
 * layers of a model do.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 1, jvmArgsAppend = "--add-modules=jdk.incubator.vector")
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@State(Scope.Thread)
public class MatmulBenchmark {

    /** Outputs x inputs: qkv and MLP of the shapes 15m, 110m and 1b. */
    @Param({"864x288", "768x2048", "11264x2048"})
    public String shape = "";

    /** Format of the weights. */
    @Param({"F32", "BF16", "INT8"})
    public WeightFormat format = WeightFormat.F32;

    /** Rows of x. */
    @Param({"1", "8", "16", "32", "64"})
    public int rows;

    /** Threads of the pool. */
    @Param({"2"})
    public int threads;

    private static final long BEYOND_CACHES = 64L << 20;

    private Kernels kernels = KernelsProvider.select("reference", 1);
    private Matrix[] matrices = {};
    private Buffer x = kernels.allocate(1);
    private Buffer y = kernels.allocate(1);
    private int next;

    /** Packs the matrices. */
    @Setup(Level.Trial)
    public void pack() {
        int n = Integer.parseInt(shape.substring(0, shape.indexOf('x')));
        int k = Integer.parseInt(shape.substring(shape.indexOf('x') + 1));
        kernels = KernelsProvider.select("vector", threads);
        matrices = new Matrix[(int) Math.max(1, BEYOND_CACHES / ((long) n * k))];
        for (int i = 0; i < matrices.length; i++) {
            long first = (long) i * n * k;
            matrices[i] = kernels.pack((row, out) -> fill(out, first + (long) row * k), n, k, format);
        }
        float[] input = new float[rows * k];
        fill(input, -1L - input.length);
        x = kernels.upload(input);
        y = kernels.allocate((long) rows * n);
    }

    private static void fill(float[] out, long first) {
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) CounterRng.uniform(1, first + i) - 0.5f;
        }
    }

    /** Stops the threads. */
    @TearDown(Level.Trial)
    public void close() {
        kernels.close();
    }

    /** y = W x. */
    @Benchmark
    public Buffer matmul() {
        Matrix matrix = matrices[next];
        next = next + 1 == matrices.length ? 0 : next + 1;
        kernels.matmul(matrix, null, x, rows, y);
        return y;
    }
}
