package dev.freshet.kernel;

import java.util.Objects;

/** Attention by its definition, one query head of one row at a time; docs/maths.md §2. */
final class ReferenceAttention {

    private final AttentionCall call;
    private final AttentionSpec spec;
    private final AttentionWeights weights;
    private final Segments segments;
    private final float[] qkv;
    private final float[] records;
    private final int d;

    /** The row at hand: its segment, state, key/value head, and the path of new tokens from the root to it. */
    private int segment;

    private float[] state = new float[0];
    private int kvHead;
    private int base;
    private int open;
    private int[] path = new int[0];
    private int pathLength;

    private ReferenceAttention(AttentionCall call) {
        this.call = call;
        spec = call.spec();
        weights = call.weights();
        segments = call.segments();
        qkv = FloatArray.of(call.qkv());
        records = FloatArray.of(call.records());
        d = spec.headDim();
    }

    static void attend(AttentionCall call) {
        new ReferenceAttention(call).run();
    }

    private void run() {
        float[] out = FloatArray.of(call.out());
        float[] global = new float[out.length];
        for (segment = 0; segment < segments.count(); segment++) {
            state = FloatArray.of(call.slots()[segments.slot(segment)]);
            int position = segments.position(segment);
            open = spec.past() == AttentionSpec.Past.CACHE ? position : position % spec.group();
            path = new int[segments.size(segment)];
            for (kvHead = 0; kvHead < spec.kvHeads(); kvHead++) {
                base = call.offset() + spec.head(kvHead);
                for (int t = 0; t < segments.size(segment); t++) {
                    pathLength = segments.path(segment, t, path);
                    writeRecord(t);
                    for (int h = kvHead * spec.share(); h < (kvHead + 1) * spec.share(); h++) {
                        headOutput(t, h, out, global);
                    }
                }
            }
        }
        for (int row = 0; row < segments.rows(); row++) {
            combine(row, out, global);
        }
    }

    private int row(int t) {
        return segments.first(segment) + t;
    }

    private int queryAt(int t, int head) {
        return row(t) * (spec.heads() + 2 * spec.kvHeads()) * d + head * d;
    }

    private int keyAt(int t) {
        return queryAt(t, spec.heads() + kvHead);
    }

    private int valueAt(int t) {
        return queryAt(t, spec.heads() + spec.kvHeads() + kvHead);
    }

    private int recordAt(int t) {
        return (row(t) * spec.kvHeads() + kvHead) * spec.headRecord();
    }

    private int visible() {
        return open + pathLength;
    }

    /** Component c of the scored key of visible token i: the open group oldest to newest, then the path root to self. */
    private double key(int i, int c) {
        if (i >= open) {
            return records[recordAt(path[i - open]) + c];
        }
        if (spec.past() == AttentionSpec.Past.CACHE) {
            int block = i / AttentionSpec.BLOCK;
            return state[base + (block * d + c) * AttentionSpec.BLOCK + i % AttentionSpec.BLOCK];
        }
        return state[base + spec.scoreOffset() + c * spec.groupStride() + i];
    }

    private double decay(int i, int c) {
        return i >= open
                ? records[recordAt(path[i - open]) + spec.recordDecay() + c]
                : state[base + spec.decayOffset() + c * spec.groupStride() + i];
    }

    /** Component e of the value of visible token i; negative i reach the tail before the open group. */
    private double value(int i, int e) {
        if (i >= open) {
            return records[recordAt(path[i - open]) + spec.recordValue() + e];
        }
        if (spec.past() == AttentionSpec.Past.CACHE) {
            return state[base + spec.cacheValues() + i * d + e];
        }
        return state[base + spec.valueOffset() + (spec.tail() + i) * d + e];
    }

    private void writeRecord(int t) {
        int at = recordAt(t);
        boolean unitKeys = spec.grouped()
                        && (spec.local() == AttentionSpec.Local.RELU2 || spec.local() == AttentionSpec.Local.YOSO)
                || spec.past() == AttentionSpec.Past.DELTA;
        if (unitKeys) {
            put(ReferenceFeatures.unit(qkv, keyAt(t), d), at);
        } else if (!spec.grouped()
                && (spec.past() == AttentionSpec.Past.SUM || spec.past() == AttentionSpec.Past.TABLES)) {
            put(ReferenceFeatures.map(spec, weights, qkv, keyAt(t), false, kvHead), at);
        } else if (spec.scoreDim() > 0) {
            System.arraycopy(qkv, keyAt(t), records, at, d);
        }
        if (spec.closeDim() > 0) {
            put(ReferenceFeatures.map(spec, weights, qkv, keyAt(t), false, kvHead), at + spec.recordClose());
        }
        for (int c = 0; c < spec.decayDim(); c++) {
            double before = visible() > 1 ? decay(visible() - 2, c) : 0;
            records[at + spec.recordDecay() + c] = (float) (before + logDecay(t, c));
        }
        System.arraycopy(qkv, valueAt(t), records, at + spec.recordValue(), d);
        if (spec.past() == AttentionSpec.Past.DELTA) {
            correctValue(t);
        }
    }

    private void put(double[] values, int at) {
        for (int c = 0; c < values.length; c++) {
            records[at + c] = (float) values[c];
        }
    }

    private double logDecay(int t, int c) {
        if (spec.past() == AttentionSpec.Past.DECAY) {
            return FloatArray.of(Objects.requireNonNull(weights.logDecay()))[kvHead];
        }
        float[] gates = FloatArray.of(Objects.requireNonNull(call.gates()));
        return spec.past() == AttentionSpec.Past.DELTA
                ? gates[row(t) * 2 * spec.kvHeads() + spec.kvHeads() + kvHead]
                : gates[(row(t) * spec.kvHeads() + kvHead) * d + c];
    }

    /** Delta rule: u = β (v - what the state and the path already hold for this key). */
    private void correctValue(int t) {
        int self = visible() - 1;
        double beta = FloatArray.of(Objects.requireNonNull(call.gates()))[row(t) * 2 * spec.kvHeads() + kvHead];
        double[] held = new double[d];
        for (int e = 0; e < d; e++) {
            for (int f = 0; f < d; f++) {
                held[e] += key(self, f) * state[base + f * d + e];
            }
            held[e] *= StrictMath.exp(decay(self, 0));
        }
        for (int i = 0; i < self; i++) {
            double score = 0;
            for (int c = 0; c < d; c++) {
                score += key(self, c) * key(i, c);
            }
            score *= StrictMath.exp(decay(self, 0) - decay(i, 0));
            for (int e = 0; e < d; e++) {
                held[e] += score * value(i, e);
            }
        }
        for (int e = 0; e < d; e++) {
            int at = recordAt(t) + spec.recordValue() + e;
            records[at] = (float) (beta * (records[at] - held[e]));
        }
    }

    private void headOutput(int t, int head, float[] out, float[] global) {
        int at = (row(t) * spec.heads() + head) * d;
        double[] past = ReferencePast.read(this, t, head);
        for (int e = 0; e < d; e++) {
            global[at + e] = (float) past[e];
        }
        double[] near = new double[d];
        addLocal(t, head, near);
        addConvolution(head, near);
        for (int e = 0; e < d; e++) {
            out[at + e] = (float) near[e];
        }
    }

    private void addLocal(int t, int head, double[] o) {
        if (spec.local() == AttentionSpec.Local.NONE) {
            return;
        }
        int m = visible();
        double[] weight = new double[m];
        boolean unit = spec.local() != AttentionSpec.Local.SOFTMAX;
        double[] q = unit ? ReferenceFeatures.unit(qkv, queryAt(t, head), d) : query(t, head);
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < m; i++) {
            for (int c = 0; c < d; c++) {
                weight[i] += q[c] * key(i, c);
            }
            max = Math.max(max, weight[i]);
        }
        double sum = 0;
        for (int i = 0; i < m; i++) {
            double s = weight[i];
            weight[i] = switch (spec.local()) {
                case RELU2 -> Math.max(s, 0) * Math.max(s, 0);
                case SOFTMAX -> StrictMath.exp((s - max) / Math.sqrt(d));
                case YOSO ->
                    StrictMath.pow(1 - StrictMath.acos(0.98 * Math.min(1, Math.max(-1, s))) / Math.PI, spec.hashBits());
                case NONE -> 0;
            };
            sum += weight[i];
        }
        for (int i = 0; i < m; i++) {
            for (int e = 0; e < d; e++) {
                o[e] += weight[i] * value(i, e);
            }
        }
        if (spec.local() == AttentionSpec.Local.SOFTMAX) {
            scale(o, 1 / sum);
        } else if (spec.local() == AttentionSpec.Local.YOSO) {
            scale(o, 1 / Math.max(length(o), 1e-6));
        }
    }

    private void addConvolution(int head, double[] o) {
        if (spec.taps() == 0) {
            return;
        }
        float[] conv = FloatArray.of(Objects.requireNonNull(weights.conv()));
        int self = visible() - 1;
        for (int back = spec.tail(); back >= 0; back--) {
            for (int e = 0; e < d; e++) {
                o[e] += conv[(head + 1) * spec.taps() - 1 - back] * value(self - back, e);
            }
        }
    }

    /** out = near + alpha · past for the whole row, after the norm over all heads where the kind has one. */
    private void combine(int row, float[] out, float[] global) {
        int width = spec.heads() * d;
        double scale = weights.alpha();
        if (spec.finish() == AttentionSpec.Finish.TOKEN_RMS) {
            double squares = 0;
            for (int e = 0; e < width; e++) {
                squares += (double) global[row * width + e] * global[row * width + e];
            }
            scale /= Math.sqrt(squares / width + 1e-6);
        }
        for (int e = 0; e < width; e++) {
            int at = row * width + e;
            out[at] = (float) (out[at] + scale * global[at]);
        }
    }

    static void scale(double[] o, double factor) {
        for (int e = 0; e < o.length; e++) {
            o[e] *= factor;
        }
    }

    static double length(double[] o) {
        double squares = 0;
        for (double x : o) {
            squares += x * x;
        }
        return Math.sqrt(squares);
    }

    /** The query of a row and head as it is. */
    double[] query(int t, int head) {
        double[] q = new double[d];
        for (int c = 0; c < d; c++) {
            q[c] = qkv[queryAt(t, head) + c];
        }
        return q;
    }

    /** The mapped query of a row and head. */
    double[] mappedQuery(int t, int head) {
        return ReferenceFeatures.map(spec, weights, qkv, queryAt(t, head), true, head);
    }

    AttentionSpec spec() {
        return spec;
    }

    AttentionWeights weights() {
        return weights;
    }

    /** A float of the past of the key/value head at hand. */
    double past(int index) {
        return state[base + index];
    }

    /** Visible tokens that the read of the past includes: none for grouped layers. */
    int included() {
        return spec.grouped() ? 0 : visible();
    }

    double keyOf(int i, int c) {
        return key(i, c);
    }

    double valueOf(int i, int e) {
        return value(i, e);
    }

    double decayOf(int i, int c) {
        return decay(i, c);
    }

    /** Index of the row itself among the visible tokens. */
    int self() {
        return visible() - 1;
    }

    /** Absolute position of visible token i. */
    int positionOf(int i) {
        return segments.position(segment) - open + i;
    }
}
