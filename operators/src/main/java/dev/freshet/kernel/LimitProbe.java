package dev.freshet.kernel;

import static dev.freshet.kernel.VectorMath.FLOATS;
import static dev.freshet.kernel.VectorMath.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Work that nothing but the machine limits, by the same means as {@link VectorKernels}: reading memory, and fused multiply-adds in
 * registers. The caller has the clock. Confined to one thread.
 */
public final class LimitProbe implements AutoCloseable {

    /** Pieces of an array; every thread reads its part from one end to the other, as a matrix product reads weights. */
    private static final int STEP = 8;

    private static final int ROUNDS = 1 << 19;
    private static final int CHAINS = 8;

    private final WorkerPool pool;
    private final float[] sinks;

    /** Starts the threads. */
    public LimitProbe(int threads) {
        pool = new WorkerPool(threads);
        sinks = new float[16 * threads];
    }

    /** Reads an array once, divided among the threads; returns the number of bytes. */
    public long read(float[] data) {
        int blocks = data.length / (STEP * LANES);
        pool.run(blocks, (from, to, worker) -> sinks[16 * worker] += sum(data, from, to));
        return 4L * blocks * STEP * LANES;
    }

    private static float sum(float[] data, int from, int to) {
        FloatVector s0 = FloatVector.zero(FLOATS);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        FloatVector s4 = s0;
        FloatVector s5 = s0;
        FloatVector s6 = s0;
        FloatVector s7 = s0;
        for (int block = from; block < to; block++) {
            int i = block * STEP * LANES;
            s0 = s0.add(FloatVector.fromArray(FLOATS, data, i));
            s1 = s1.add(FloatVector.fromArray(FLOATS, data, i + LANES));
            s2 = s2.add(FloatVector.fromArray(FLOATS, data, i + 2 * LANES));
            s3 = s3.add(FloatVector.fromArray(FLOATS, data, i + 3 * LANES));
            s4 = s4.add(FloatVector.fromArray(FLOATS, data, i + 4 * LANES));
            s5 = s5.add(FloatVector.fromArray(FLOATS, data, i + 5 * LANES));
            s6 = s6.add(FloatVector.fromArray(FLOATS, data, i + 6 * LANES));
            s7 = s7.add(FloatVector.fromArray(FLOATS, data, i + 7 * LANES));
        }
        FloatVector left = s0.add(s1).add(s2.add(s3));
        return left.add(s4.add(s5).add(s6.add(s7))).reduceLanes(VectorOperators.ADD);
    }

    /** Multiplies and adds in registers on every thread; returns the number of operations, two for each fused pair. */
    public long multiplyAdd() {
        int threads = pool.threads();
        pool.run(threads, (from, to, worker) -> {
            for (int i = from; i < to; i++) {
                sinks[16 * worker] += chains();
            }
        });
        return 2L * CHAINS * LANES * ROUNDS * threads;
    }

    /** Eight independent chains: enough to hide the latency of the instruction, few enough to stay in 16 registers. */
    private static float chains() {
        FloatVector a = FloatVector.broadcast(FLOATS, 0.999f);
        FloatVector b = FloatVector.broadcast(FLOATS, 0.001f);
        FloatVector s0 = FloatVector.zero(FLOATS);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        FloatVector s4 = s0;
        FloatVector s5 = s0;
        FloatVector s6 = s0;
        FloatVector s7 = s0;
        for (int i = 0; i < ROUNDS; i++) {
            s0 = s0.fma(a, b);
            s1 = s1.fma(a, b);
            s2 = s2.fma(a, b);
            s3 = s3.fma(a, b);
            s4 = s4.fma(a, b);
            s5 = s5.fma(a, b);
            s6 = s6.fma(a, b);
            s7 = s7.fma(a, b);
        }
        FloatVector left = s0.add(s1).add(s2.add(s3));
        return left.add(s4.add(s5).add(s6.add(s7))).reduceLanes(VectorOperators.ADD);
    }

    /** Sum of all results, so that no part of the work can be left out. */
    public float sink() {
        float sum = 0;
        for (float x : sinks) {
            sum += x;
        }
        return sum;
    }

    @Override
    public void close() {
        pool.close();
    }
}
