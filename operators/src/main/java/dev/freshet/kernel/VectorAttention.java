package dev.freshet.kernel;

import static dev.freshet.kernel.VectorFeatures.grown;
import static dev.freshet.kernel.VectorMath.LANES;

import java.util.Objects;

/**
 * Attention of one segment and key/value head at a time in vector arithmetic, docs/maths.md §2. Query rows are ordered token by token
 * with the heads that share the key/value head side by side; every sum runs state, open group, path, as in
 * {@link ReferenceAttention}. One instance for each worker; holds only scratch between calls.
 */
@SuppressWarnings("NullAway.Init") // The task's operands are set by run before anything reads them.
final class VectorAttention {

    /** The task at hand, shared with {@link VectorPast}. */
    AttentionSpec spec;

    AttentionCall call;
    AttentionWeights weights = AttentionWeights.NONE;
    Segments segments;
    float[] qkv = new float[0];
    float[] records = new float[0];
    float[] state = new float[0];
    int segment;
    int kvHead;
    int base;
    int open;
    int tokens;
    int share;
    int rows;
    int d;

    /** Scratch: queries [rows, d], new scored keys transposed [dim, tokensPad], new values [tokens, d]. */
    float[] q = new float[0];

    float[] newKeys = new float[0];
    float[] newValues = new float[0];
    int tokensPad;

    /** Scratch: weights over the open group [rows, openPad] and over the new tokens [rows, tokensPad]. */
    float[] wOpen = new float[0];

    float[] wNew = new float[0];
    int openPad;
    int[] path = new int[0];

    final VectorFeatures features = new VectorFeatures();
    private final VectorPast past = new VectorPast(this);
    private final VectorDelta delta = new VectorDelta(this);
    private float[] unit = new float[0];
    private float[] keys = new float[0];
    private float[] mapped = new float[0];
    private float[] near = new float[0];
    private float[] sums = new float[0];

    /** Computes records and output of one segment and key/value head; the part from the past goes to global [rows, H d]. */
    void run(AttentionCall task, int taskSegment, int taskHead, float[] out, float[] global) {
        call = task;
        spec = task.spec();
        weights = task.weights();
        segments = task.segments();
        qkv = FloatArray.of(task.qkv());
        records = FloatArray.of(task.records());
        state = FloatArray.of(task.slots()[segments.slot(taskSegment)]);
        segment = taskSegment;
        kvHead = taskHead;
        base = task.offset() + spec.head(taskHead);
        int position = segments.position(taskSegment);
        open = spec.past() == AttentionSpec.Past.CACHE ? position : position % spec.group();
        tokens = segments.size(taskSegment);
        share = spec.share();
        rows = tokens * share;
        d = spec.headDim();
        tokensPad = pad(tokens);
        openPad = pad(open);
        path = path.length >= tokens ? path : new int[2 * tokens];

        loadQueries();
        writeRecords();
        past.read(global);
        near = VectorFeatures.zeroed(near, rows * d);
        addLocal();
        addConvolution();
        int width = spec.heads() * d;
        for (int t = 0; t < tokens; t++) {
            System.arraycopy(
                    near, t * share * d, out, (segments.first(segment) + t) * width + kvHead * share * d, share * d);
        }
    }

    static int pad(int n) {
        return (n + LANES - 1) / LANES * LANES;
    }

    private int rowStride() {
        return (spec.heads() + 2 * spec.kvHeads()) * d;
    }

    private void loadQueries() {
        q = grown(q, rows * d);
        for (int t = 0; t < tokens; t++) {
            int from = (segments.first(segment) + t) * rowStride() + kvHead * share * d;
            System.arraycopy(qkv, from, q, t * share * d, share * d);
        }
    }

    int recordAt(int t) {
        return ((segments.first(segment) + t) * spec.kvHeads() + kvHead) * spec.headRecord();
    }

    private void writeRecords() {
        keys = grown(keys, tokens * d);
        newValues = grown(newValues, tokens * d);
        for (int t = 0; t < tokens; t++) {
            int row = (segments.first(segment) + t) * rowStride();
            System.arraycopy(qkv, row + (spec.heads() + kvHead) * d, keys, t * d, d);
            int value = row + (spec.heads() + spec.kvHeads() + kvHead) * d;
            System.arraycopy(qkv, value, newValues, t * d, d);
            System.arraycopy(qkv, value, records, recordAt(t) + spec.recordValue(), d);
        }
        boolean unitKeys = spec.past() == AttentionSpec.Past.DELTA
                || spec.grouped()
                        && (spec.local() == AttentionSpec.Local.RELU2 || spec.local() == AttentionSpec.Local.YOSO);
        boolean mappedKeys =
                !spec.grouped() && (spec.past() == AttentionSpec.Past.SUM || spec.past() == AttentionSpec.Past.TABLES);
        if (mappedKeys || spec.closeDim() > 0) {
            mapped = grown(mapped, tokens * VectorFeatures.width(spec));
            features.map(spec, weights, keys, tokens, false, kvHead, mapped);
        }
        if (spec.closeDim() > 0) {
            putRecords(mapped, spec.closeDim(), spec.recordClose());
        }
        float[] scored = keys;
        if (unitKeys) {
            unit = grown(unit, Math.max(rows, tokens) * d);
            VectorFeatures.unit(keys, tokens, d, unit);
            scored = unit;
        } else if (mappedKeys) {
            scored = mapped;
        }
        putRecords(scored, spec.scoreDim(), 0);
        transposeNewKeys(scored);
        if (spec.decayDim() > 0) {
            delta.writeDecays();
        }
        if (spec.past() == AttentionSpec.Past.DELTA) {
            delta.correctValues(scored);
        }
    }

    private void putRecords(float[] from, int width, int at) {
        for (int t = 0; t < tokens; t++) {
            System.arraycopy(from, t * width, records, recordAt(t) + at, width);
        }
    }

    private void transposeNewKeys(float[] from) {
        int dim = spec.scoreDim();
        newKeys = grown(newKeys, dim * tokensPad);
        for (int c = 0; c < dim; c++) {
            for (int t = 0; t < tokens; t++) {
                newKeys[c * tokensPad + t] = from[t * dim + c];
            }
            for (int t = tokens; t < tokensPad; t++) {
                newKeys[c * tokensPad + t] = 0f;
            }
        }
    }

    /** Scores rows of x [count, scoreDim] against the open group and the new tokens: wOpen, wNew. */
    void score(float[] x, int count) {
        int dim = spec.scoreDim();
        wOpen = grown(wOpen, count * openPad);
        wNew = grown(wNew, count * tokensPad);
        Dense.gemm(
                x,
                0,
                dim,
                state,
                base + spec.scoreOffset(),
                spec.groupStride(),
                wOpen,
                0,
                openPad,
                count,
                dim,
                openPad,
                false);
        Dense.gemm(x, 0, dim, newKeys, 0, tokensPad, wNew, 0, tokensPad, count, dim, tokensPad, false);
    }

    /** o [rows, d] += wOpen V, then the new tokens of each row's path. */
    void accumulate(float[] o) {
        int values = base + spec.valueOffset() + spec.tail() * d;
        Dense.gemm(wOpen, 0, openPad, state, values, d, o, 0, d, rows, open, d, true);
        addNew(wNew, newValues, d, o);
    }

    /** o [rows, width] += weights over each row's path times rows of x [tokens, width], root to self. */
    void addNew(float[] w, float[] x, int width, float[] o) {
        if (segments.chain(segment)) {
            int r = 0;
            for (; r + 3 < rows; r += 4) {
                int common = r / share + 1;
                Dense.gemm(w, r * tokensPad, tokensPad, x, 0, width, o, r * width, width, 4, common, width, true);
                for (int i = r; i < r + 4; i++) {
                    for (int j = common; j <= i / share; j++) {
                        VectorMath.addScaled(w[i * tokensPad + j], x, j * width, o, i * width, width);
                    }
                }
            }
            for (; r < rows; r++) {
                Dense.gemm(
                        w, r * tokensPad, tokensPad, x, 0, width, o, r * width, width, 1, r / share + 1, width, true);
            }
            return;
        }
        for (int t = 0; t < tokens; t++) {
            int n = segments.path(segment, t, path);
            for (int r = t * share; r < (t + 1) * share; r++) {
                for (int i = 0; i < n; i++) {
                    VectorMath.addScaled(w[r * tokensPad + path[i]], x, path[i] * width, o, r * width, width);
                }
            }
        }
    }

    private void addLocal() {
        if (spec.local() == AttentionSpec.Local.NONE) {
            return;
        }
        float[] x = q;
        if (spec.local() != AttentionSpec.Local.SOFTMAX) {
            unit = grown(unit, rows * d);
            VectorFeatures.unit(q, rows, d, unit);
            x = unit;
        }
        score(x, rows);
        switch (spec.local()) {
            case RELU2 -> {
                VectorMath.squaredRelu(wOpen, 0, rows * openPad);
                VectorMath.squaredRelu(wNew, 0, rows * tokensPad);
                accumulate(near);
            }
            case YOSO -> {
                arcWeights(wOpen, rows * openPad);
                arcWeights(wNew, rows * tokensPad);
                accumulate(near);
                for (int r = 0; r < rows; r++) {
                    VectorMath.scale(near, r * d, FloatMath.inverseLength(near, r * d, d), near, r * d, d);
                }
            }
            case SOFTMAX -> softmaxLocal();
            case NONE -> {}
        }
    }

    private void arcWeights(float[] w, int count) {
        for (int i = 0; i < count; i++) {
            double cosine = 0.98 * Math.min(1, Math.max(-1, w[i]));
            w[i] = (float) StrictMath.pow(1 - StrictMath.acos(cosine) / Math.PI, spec.hashBits());
        }
    }

    private void softmaxLocal() {
        float scale = (float) (1 / Math.sqrt(d));
        sums = grown(sums, rows);
        for (int t = 0; t < tokens; t++) {
            int n = segments.path(segment, t, path);
            for (int r = t * share; r < (t + 1) * share; r++) {
                VectorMath.scale(wOpen, r * openPad, scale, wOpen, r * openPad, openPad);
                VectorMath.scale(wNew, r * tokensPad, scale, wNew, r * tokensPad, tokensPad);
                float max = Float.NEGATIVE_INFINITY;
                for (int j = 0; j < open; j++) {
                    max = Math.max(max, wOpen[r * openPad + j]);
                }
                for (int i = 0; i < n; i++) {
                    max = Math.max(max, wNew[r * tokensPad + path[i]]);
                }
                VectorMath.exp(wOpen, r * openPad, open, -max);
                VectorMath.exp(wNew, r * tokensPad, tokens, -max);
                float sum = 0;
                for (int j = 0; j < open; j++) {
                    sum += wOpen[r * openPad + j];
                }
                for (int i = 0; i < n; i++) {
                    sum += wNew[r * tokensPad + path[i]];
                }
                sums[r] = sum;
            }
        }
        accumulate(near);
        for (int r = 0; r < rows; r++) {
            VectorMath.scale(near, r * d, 1f / sums[r], near, r * d, d);
        }
    }

    private void addConvolution() {
        int taps = spec.taps();
        if (taps == 0) {
            return;
        }
        float[] conv = FloatArray.of(Objects.requireNonNull(weights.conv()));
        boolean chain = segments.chain(segment);
        for (int t = 0; t < tokens; t++) {
            int n = segments.path(segment, t, path);
            // The window covers the last taps tokens: old ones lie in the state, the newest min(n, taps) on the path.
            int fromPath = Math.min(n, taps);
            int fromState = taps - fromPath;
            int window = base + spec.valueOffset() + (spec.tail() + open - fromState) * d;
            for (int rr = 0; rr < share; rr++) {
                int filter = (kvHead * share + rr) * taps;
                int o = (t * share + rr) * d;
                Dense.gemm(conv, filter, taps, state, window, d, near, o, d, 1, fromState, d, true);
                if (chain) {
                    int first = (n - fromPath) * d;
                    Dense.gemm(conv, filter + fromState, taps, newValues, first, d, near, o, d, 1, fromPath, d, true);
                } else {
                    for (int i = 0; i < fromPath; i++) {
                        int node = path[n - fromPath + i];
                        VectorMath.addScaled(conv[filter + fromState + i], newValues, node * d, near, o, d);
                    }
                }
            }
        }
    }
}
