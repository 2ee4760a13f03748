package dev.freshet.kernel;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The fast CPU backend: Vector API arithmetic over packed weights and a fixed pool of threads. Work is divided over outputs, never
 * over a sum, so results do not depend on the number of threads or the width of the vectors.
 *
 * <p>The operands of the operation at hand lie in fields, where the threads of the pool find them: once the scratch memory has grown
 * to the largest step, no operation allocates.
 */
public final class VectorKernels extends HeapKernels {

    /** Fewer multiply-adds than this are not worth waking another thread. */
    private static final long PARALLEL = 1 << 16;

    /** Parts of a row for functions of single elements. */
    private static final int SHARES = 16;

    private static final float[] NONE = {};

    private final WorkerPool pool;
    private final PackedGemm[] products;
    private final VectorAttention[] attention;
    private final VectorCommit[] commit;
    private float[] global = NONE;

    private final WorkerPool.Job productPart = this::productPart;
    private final WorkerPool.Job embedPart = this::embedPart;
    private final WorkerPool.Job rmsPart = this::rmsPart;
    private final WorkerPool.Job layerPart = this::layerPart;
    private final WorkerPool.Job ropePart = this::ropePart;
    private final WorkerPool.Job siluPart = this::siluPart;
    private final WorkerPool.Job geluPart = this::geluPart;
    private final WorkerPool.Job attendPart = this::attendPart;
    private final WorkerPool.Job combinePart = this::combinePart;
    private final WorkerPool.Job commitPart = this::commitPart;

    private @Nullable PackedMatrix matrix;
    private @Nullable AttentionCall call;
    private @Nullable Paths paths;
    private float @Nullable [] bias;
    private float[] in = NONE;
    private float[] weight = NONE;
    private float[] out = NONE;
    private int[] ids = {};
    private int rows;
    private int dim;
    private int stride;
    private int heads;
    private double eps;
    private boolean add;

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
    public void embed(Matrix table, int[] tokens, int count, Buffer x) {
        lookUp(table, tokens, count, x, false);
    }

    @Override
    public void addEmbedding(Matrix table, int[] positions, int count, Buffer x) {
        lookUp(table, positions, count, x, true);
    }

    private void lookUp(Matrix table, int[] index, int count, Buffer x, boolean sum) {
        PackedMatrix m = (PackedMatrix) table;
        matrix = m;
        ids = index;
        out = FloatArray.of(x);
        add = sum;
        // Every element is a cache line of its own.
        divide(count, 16L * count * m.k(), embedPart);
    }

    private void embedPart(int from, int to, int worker) {
        PackedMatrix m = Objects.requireNonNull(matrix);
        for (int i = from; i < to; i++) {
            m.row(ids[i], out, i * m.k(), add);
        }
    }

    @Override
    public void matmul(Matrix w, @Nullable Buffer b, Buffer x, int count, Buffer y) {
        product((PackedMatrix) w, b, x, count, y, false);
    }

    @Override
    public void matmulAdd(Matrix w, @Nullable Buffer b, Buffer x, int count, Buffer y) {
        product((PackedMatrix) w, b, x, count, y, true);
    }

    private void product(PackedMatrix m, @Nullable Buffer b, Buffer x, int count, Buffer y, boolean sum) {
        matrix = m;
        bias = b == null ? null : FloatArray.of(b);
        in = FloatArray.of(x);
        out = FloatArray.of(y);
        rows = count;
        add = sum;
        int units = (m.panels() + PackedGemm.UNIT - 1) / PackedGemm.UNIT;
        divide(units, (long) count * m.n() * m.k(), productPart);
    }

    private void productPart(int from, int to, int worker) {
        PackedMatrix m = Objects.requireNonNull(matrix);
        int end = Math.min(m.panels(), to * PackedGemm.UNIT);
        products[worker].panels(m, bias, in, rows, out, add, from * PackedGemm.UNIT, end);
    }

    @Override
    public void rmsNorm(Buffer x, int count, int width, Buffer w, double epsilon, Buffer y) {
        bindNorm(x, width, w, epsilon, y);
        divide(count, (long) count * width, rmsPart);
    }

    private void bindNorm(Buffer x, int width, Buffer w, double epsilon, Buffer y) {
        in = FloatArray.of(x);
        weight = FloatArray.of(w);
        out = FloatArray.of(y);
        dim = width;
        eps = epsilon;
    }

    private void rmsPart(int from, int to, int worker) {
        for (int i = from; i < to; i++) {
            float scale = (float) FloatMath.inverseRms(in, i * dim, dim, eps);
            VectorMath.scale(in, i * dim, scale, weight, out, i * dim, dim);
        }
    }

    @Override
    public void layerNorm(Buffer x, int count, int width, Buffer w, Buffer b, double epsilon, Buffer y) {
        bindNorm(x, width, w, epsilon, y);
        bias = FloatArray.of(b);
        divide(count, (long) count * width, layerPart);
    }

    private void layerPart(int from, int to, int worker) {
        float[] b = Objects.requireNonNull(bias);
        for (int i = from; i < to; i++) {
            double mean = 0;
            for (int c = 0; c < dim; c++) {
                mean += in[i * dim + c];
            }
            float centre = (float) (mean / dim);
            for (int c = 0; c < dim; c++) {
                out[i * dim + c] = in[i * dim + c] - centre;
            }
            float scale = (float) FloatMath.inverseRms(out, i * dim, dim, eps);
            VectorMath.scale(out, i * dim, scale, weight, out, i * dim, dim);
            VectorMath.addScaled(1f, b, 0, out, i * dim, dim);
        }
    }

    @Override
    public void rope(Buffer x, int count, int rowStride, int rotated, int headDim, float[] cosSin) {
        out = FloatArray.of(x);
        in = cosSin;
        stride = rowStride;
        heads = rotated;
        dim = headDim;
        divide(count, (long) count * rotated * headDim, ropePart);
    }

    private void ropePart(int from, int to, int worker) {
        for (int i = from; i < to; i++) {
            for (int h = 0; h < heads; h++) {
                VectorMath.rotate(out, i * stride + h * dim, in, i * dim, dim / 2);
            }
        }
    }

    @Override
    public void siluMul(Buffer x, int count, int width, Buffer y) {
        in = FloatArray.of(x);
        out = FloatArray.of(y);
        dim = width;
        // One row is worth dividing too, so the items are shares of rows.
        divide(SHARES * count, 8L * count * width, siluPart);
    }

    private void siluPart(int from, int to, int worker) {
        for (int i = from; i < to; i++) {
            int row = i / SHARES;
            int first = (int) ((long) dim * (i % SHARES) / SHARES);
            int count = (int) ((long) dim * (i % SHARES + 1) / SHARES) - first;
            int gate = 2 * row * dim + first;
            VectorMath.siluMul(in, gate, gate + dim, out, row * dim + first, count);
        }
    }

    @Override
    public void gelu(Buffer x, int count) {
        out = FloatArray.of(x);
        dim = count;
        divide(SHARES, 8L * count, geluPart);
    }

    private void geluPart(int from, int to, int worker) {
        int first = (int) ((long) dim * from / SHARES);
        VectorMath.gelu(out, first, (int) ((long) dim * to / SHARES) - first);
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
    public void attend(AttentionCall task) {
        AttentionSpec spec = task.spec();
        Segments segments = task.segments();
        checkWithinGroup(spec, segments);
        int width = spec.heads() * spec.headDim();
        global = VectorFeatures.grown(global, segments.rows() * width);
        out = FloatArray.of(task.out());
        call = task;
        long each = (long) spec.heads() * spec.headDim() * (spec.featureDim() + spec.group());
        divide(segments.count() * spec.kvHeads(), segments.rows() * each, attendPart);
        divide(segments.rows(), (long) segments.rows() * width, combinePart);
    }

    private void attendPart(int from, int to, int worker) {
        AttentionCall task = Objects.requireNonNull(call);
        int kv = task.spec().kvHeads();
        for (int i = from; i < to; i++) {
            attention[worker].run(task, i / kv, i % kv, out, global);
        }
    }

    /** out += alpha · past, after the norm over all heads of a row where the kind has one. */
    private void combinePart(int from, int to, int worker) {
        AttentionCall task = Objects.requireNonNull(call);
        AttentionSpec spec = task.spec();
        int width = spec.heads() * spec.headDim();
        for (int at = from * width; at < to * width; at += width) {
            float scale = task.weights().alpha();
            if (spec.finish() == AttentionSpec.Finish.TOKEN_RMS) {
                scale = (float) (scale * FloatMath.inverseRms(global, at, width, 1e-6));
            }
            VectorMath.addScaled(scale, global, at, out, at, width);
        }
    }

    @Override
    public void commit(AttentionCall task, Paths accepted) {
        AttentionSpec spec = task.spec();
        call = task;
        paths = accepted;
        int tokens = 0;
        for (int s = 0; s < accepted.count(); s++) {
            tokens += accepted.size(s);
        }
        long each = (long) spec.kvHeads() * spec.headDim() * 64;
        divide(accepted.count() * spec.kvHeads(), tokens * each, commitPart);
    }

    private void commitPart(int from, int to, int worker) {
        AttentionCall task = Objects.requireNonNull(call);
        int kv = task.spec().kvHeads();
        for (int i = from; i < to; i++) {
            commit[worker].run(task, Objects.requireNonNull(paths), i / kv, i % kv);
        }
    }

    @Override
    public void close() {
        pool.close();
    }
}
