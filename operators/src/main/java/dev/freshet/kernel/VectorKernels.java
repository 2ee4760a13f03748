package dev.freshet.kernel;

import org.jspecify.annotations.Nullable;

/**
 * The fast CPU backend: Vector API arithmetic over packed weights and a fixed pool of threads. Work is divided over outputs, never
 * over a sum, so results do not depend on the number of threads or the width of the vectors.
 */
public final class VectorKernels extends HeapKernels {

    /** Fewer multiply-adds than this are not worth waking another thread. */
    private static final long PARALLEL = 1 << 16;

    private final WorkerPool pool;
    private final PackedGemm[] products;
    private final VectorAttention[] attention;
    private final VectorCommit[] commit;
    private float[] global = new float[0];

    /** Starts a pool of threads, the calling one included. */
    public VectorKernels(int threads) {
        if (threads < 1) {
            throw new IllegalArgumentException("Cannot start kernels: expected at least 1 thread, got " + threads);
        }
        pool = new WorkerPool(threads);
        products = new PackedGemm[threads];
        attention = new VectorAttention[threads];
        commit = new VectorCommit[threads];
        for (int w = 0; w < threads; w++) {
            products[w] = new PackedGemm();
            attention[w] = new VectorAttention();
            commit[w] = new VectorCommit();
        }
    }

    @Override
    public String name() {
        return "vector";
    }

    @Override
    public String describe() {
        return "vector kernels: " + 32 * VectorMath.LANES + "-bit Vector API, " + pool.threads() + " threads";
    }

    /** Runs inline when the work is small, else on the pool. */
    private void divide(int items, long work, WorkerPool.Job job) {
        if (work < PARALLEL || items == 1) {
            job.run(0, items, 0);
        } else {
            pool.run(items, job);
        }
    }

    @Override
    public Matrix pack(MatrixSource source, int n, int k, WeightFormat format) {
        return PackedMatrix.pack(source, n, k, format, pool);
    }

    @Override
    public void embed(Matrix table, int[] tokens, int rows, Buffer out) {
        PackedMatrix m = (PackedMatrix) table;
        float[] to = FloatArray.of(out);
        for (int i = 0; i < rows; i++) {
            for (int c = 0; c < m.k(); c++) {
                to[i * m.k() + c] = m.get(tokens[i], c);
            }
        }
    }

    @Override
    public void addEmbedding(Matrix table, int[] positions, int rows, Buffer x) {
        PackedMatrix m = (PackedMatrix) table;
        float[] to = FloatArray.of(x);
        for (int i = 0; i < rows; i++) {
            for (int c = 0; c < m.k(); c++) {
                to[i * m.k() + c] += m.get(positions[i], c);
            }
        }
    }

    @Override
    public void matmul(Matrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out) {
        product((PackedMatrix) w, bias, x, rows, out, false);
    }

    @Override
    public void matmulAdd(Matrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out) {
        product((PackedMatrix) w, bias, x, rows, out, true);
    }

    private void product(PackedMatrix m, @Nullable Buffer bias, Buffer x, int rows, Buffer out, boolean add) {
        float[] b = bias == null ? null : FloatArray.of(bias);
        float[] from = FloatArray.of(x);
        float[] to = FloatArray.of(out);
        int panels = m.panels();
        divide((panels + PackedGemm.UNIT - 1) / PackedGemm.UNIT, (long) rows * m.n() * m.k(), (first, last, worker) -> {
            int end = Math.min(panels, last * PackedGemm.UNIT);
            products[worker].panels(m, b, from, rows, to, add, first * PackedGemm.UNIT, end);
        });
    }

    @Override
    public void rmsNorm(Buffer x, int rows, int dim, Buffer weight, double eps, Buffer out) {
        float[] a = FloatArray.of(x);
        float[] w = FloatArray.of(weight);
        float[] to = FloatArray.of(out);
        divide(rows, (long) rows * dim, (first, last, worker) -> {
            for (int i = first; i < last; i++) {
                float scale = (float) FloatMath.inverseRms(a, i * dim, dim, eps);
                VectorMath.scale(a, i * dim, scale, w, to, i * dim, dim);
            }
        });
    }

    @Override
    public void layerNorm(Buffer x, int rows, int dim, Buffer weight, Buffer bias, double eps, Buffer out) {
        float[] a = FloatArray.of(x);
        float[] w = FloatArray.of(weight);
        float[] b = FloatArray.of(bias);
        float[] to = FloatArray.of(out);
        divide(rows, (long) rows * dim, (first, last, worker) -> {
            for (int i = first; i < last; i++) {
                double mean = 0;
                for (int c = 0; c < dim; c++) {
                    mean += a[i * dim + c];
                }
                float centre = (float) (mean / dim);
                for (int c = 0; c < dim; c++) {
                    to[i * dim + c] = a[i * dim + c] - centre;
                }
                float scale = (float) FloatMath.inverseRms(to, i * dim, dim, eps);
                VectorMath.scale(to, i * dim, scale, w, to, i * dim, dim);
                VectorMath.addScaled(1f, b, 0, to, i * dim, dim);
            }
        });
    }

    @Override
    public void rope(Buffer x, int rows, int stride, int heads, int dim, float[] cosSin) {
        float[] a = FloatArray.of(x);
        int half = dim / 2;
        divide(rows, (long) rows * heads * dim, (first, last, worker) -> {
            for (int i = first; i < last; i++) {
                for (int h = 0; h < heads; h++) {
                    int at = i * stride + h * dim;
                    for (int c = 0; c < half; c++) {
                        float cos = cosSin[i * dim + c];
                        float sin = cosSin[i * dim + half + c];
                        float p = a[at + c];
                        float q = a[at + half + c];
                        a[at + c] = p * cos - q * sin;
                        a[at + half + c] = q * cos + p * sin;
                    }
                }
            }
        });
    }

    @Override
    public void siluMul(Buffer x, int rows, int dim, Buffer out) {
        float[] a = FloatArray.of(x);
        float[] to = FloatArray.of(out);
        divide(rows, 8L * rows * dim, (first, last, worker) -> {
            for (int i = first; i < last; i++) {
                VectorMath.siluMul(a, 2 * i * dim, (2 * i + 1) * dim, to, i * dim, dim);
            }
        });
    }

    @Override
    public void gelu(Buffer x, int count) {
        VectorMath.gelu(FloatArray.of(x), 0, count);
    }

    @Override
    public void addSilu(Buffer x, Buffer y, int count, Buffer out) {
        float[] a = FloatArray.of(x);
        float[] b = FloatArray.of(y);
        float[] to = FloatArray.of(out);
        for (int i = 0; i < count; i++) {
            to[i] = a[i] + FloatMath.silu(b[i]);
        }
    }

    @Override
    public void logSigmoidGate(Buffer x, int count) {
        float[] a = FloatArray.of(x);
        for (int i = 0; i < count; i++) {
            a[i] = (float) (-ReferenceKernels.softplus(-a[i]) / 16);
        }
    }

    @Override
    public void deltaGate(Buffer x, int rows, int kv, Buffer aLog, Buffer bias) {
        float[] a = FloatArray.of(x);
        for (int i = 0; i < rows; i++) {
            for (int g = 0; g < kv; g++) {
                int beta = i * 2 * kv + g;
                a[beta] = (float) ReferenceKernels.sigmoid(a[beta]);
                double step = ReferenceKernels.softplus((double) a[beta + kv] + FloatArray.of(bias)[g]);
                a[beta + kv] = (float) (-StrictMath.exp(FloatArray.of(aLog)[g]) * step);
            }
        }
    }

    @Override
    public void attend(AttentionCall call) {
        AttentionSpec spec = call.spec();
        Segments segments = call.segments();
        checkWithinGroup(spec, segments);
        int width = spec.heads() * spec.headDim();
        global = VectorFeatures.grown(global, segments.rows() * width);
        float[] past = global;
        float[] out = FloatArray.of(call.out());
        int kv = spec.kvHeads();
        long each = (long) spec.heads() * spec.headDim() * (spec.featureDim() + spec.group());
        divide(segments.count() * kv, segments.rows() * each, (first, last, worker) -> {
            for (int i = first; i < last; i++) {
                attention[worker].run(call, i / kv, i % kv, out, past);
            }
        });
        divide(segments.rows(), (long) segments.rows() * width, (first, last, worker) -> {
            for (int row = first; row < last; row++) {
                combine(spec, call.weights().alpha(), out, past, row * width, width);
            }
        });
    }

    /** out += alpha · past for one row, after the norm over all heads where the kind has one. */
    private static void combine(AttentionSpec spec, float alpha, float[] out, float[] past, int at, int width) {
        float scale = alpha;
        if (spec.finish() == AttentionSpec.Finish.TOKEN_RMS) {
            scale = (float) (alpha * FloatMath.inverseRms(past, at, width, 1e-6));
        }
        VectorMath.addScaled(scale, past, at, out, at, width);
    }

    @Override
    public void commit(AttentionCall call, Paths paths) {
        AttentionSpec spec = call.spec();
        int kv = spec.kvHeads();
        int rows = 0;
        for (int s = 0; s < paths.count(); s++) {
            rows += paths.size(s);
        }
        long each = (long) spec.kvHeads() * spec.headDim() * 64;
        divide(paths.count() * kv, rows * each, (first, last, worker) -> {
            for (int i = first; i < last; i++) {
                commit[worker].run(call, paths, i / kv, i % kv);
            }
        });
    }

    @Override
    public void close() {
        pool.close();
    }
}
