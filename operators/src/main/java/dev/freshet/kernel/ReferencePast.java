package dev.freshet.kernel;

import java.util.Objects;

/** Reading the past, each kind by its formula; docs/maths.md §2.3. */
final class ReferencePast {

    private ReferencePast() {}

    /** Output [d] of one head over the past and, unless the layer is grouped, the visible tokens. */
    static double[] read(ReferenceAttention at, int t, int head) {
        AttentionSpec spec = at.spec();
        double[] o =
                switch (spec.past()) {
                    case NONE -> new double[spec.headDim()];
                    case CACHE -> cache(at, t, head);
                    case SUM -> sum(at, t, head);
                    case TABLES -> tables(at, t, head);
                    case SLOTS -> slots(at, t, head);
                    case DECAY, CHANNEL_DECAY, DELTA -> decayed(at, t, head);
                };
        if (spec.finish() == AttentionSpec.Finish.UNIT) {
            ReferenceAttention.scale(o, 1 / Math.max(ReferenceAttention.length(o), 1e-6));
        } else if (spec.finish() == AttentionSpec.Finish.HEAD_NORM) {
            float[] norm = FloatArray.of(Objects.requireNonNull(at.weights().norm()));
            double length = ReferenceAttention.length(o);
            ReferenceAttention.scale(o, 1 / Math.sqrt(length * length / o.length + 1e-6));
            for (int e = 0; e < o.length; e++) {
                o[e] *= norm[e];
            }
        }
        return o;
    }

    private static double[] cache(ReferenceAttention at, int t, int head) {
        int d = at.spec().headDim();
        double[] q = at.query(t, head);
        double[] weight = new double[at.included()];
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < weight.length; i++) {
            for (int c = 0; c < d; c++) {
                weight[i] += q[c] * at.keyOf(i, c);
            }
            weight[i] /= Math.sqrt(d);
            max = Math.max(max, weight[i]);
        }
        double[] o = new double[d];
        double sum = 0;
        for (int i = 0; i < weight.length; i++) {
            double w = StrictMath.exp(weight[i] - max);
            sum += w;
            for (int e = 0; e < d; e++) {
                o[e] += w * at.valueOf(i, e);
            }
        }
        ReferenceAttention.scale(o, 1 / sum);
        return o;
    }

    private static double[] sum(ReferenceAttention at, int t, int head) {
        AttentionSpec spec = at.spec();
        int d = spec.headDim();
        double[] q = at.mappedQuery(t, head);
        double[] o = new double[d];
        double denominator = 0;
        for (int f = 0; f < spec.featureDim(); f++) {
            for (int e = 0; e < d; e++) {
                o[e] += q[f] * at.past(f * d + e);
            }
            denominator += spec.denominator() ? q[f] * at.past(spec.zOffset() + f) : 0;
        }
        for (int i = 0; i < at.included(); i++) {
            double w = 0;
            for (int f = 0; f < spec.featureDim(); f++) {
                w += q[f] * at.keyOf(i, f);
            }
            denominator += w;
            for (int e = 0; e < d; e++) {
                o[e] += w * at.valueOf(i, e);
            }
        }
        if (spec.finish() == AttentionSpec.Finish.RATIO_EPS) {
            ReferenceAttention.scale(o, 1 / (denominator + 1e-6));
        } else if (spec.finish() == AttentionSpec.Finish.RATIO) {
            ReferenceAttention.scale(o, denominator == 0 ? 0 : 1 / denominator);
        }
        return o;
    }

    private static double[] tables(ReferenceAttention at, int t, int head) {
        AttentionSpec spec = at.spec();
        int d = spec.headDim();
        double[] code = at.mappedQuery(t, head);
        double[] o = new double[d];
        for (int r = 0; r < spec.hashRounds(); r++) {
            for (int e = 0; e < d; e++) {
                o[e] += at.past((r * spec.cells() + (int) code[r]) * d + e) / spec.hashRounds();
            }
        }
        for (int i = 0; i < at.included(); i++) {
            int hits = 0;
            for (int r = 0; r < spec.hashRounds(); r++) {
                hits += at.keyOf(i, r) == code[r] ? 1 : 0;
            }
            for (int e = 0; e < d; e++) {
                o[e] += (double) hits / spec.hashRounds() * at.valueOf(i, e);
            }
        }
        return o;
    }

    private static double[] slots(ReferenceAttention at, int t, int head) {
        AttentionSpec spec = at.spec();
        int d = spec.headDim();
        int slots = spec.slotCount();
        float[] rows = FloatArray.of(Objects.requireNonNull(at.weights().slots()));
        double[] q = at.query(t, head);
        double[] weight = new double[slots];
        for (int r = 0; r < slots; r++) {
            for (int c = 0; c < d; c++) {
                weight[r] += q[c] * at.past(c * slots + r);
            }
        }
        for (int i = 0; i < at.included(); i++) {
            double score = 0;
            for (int c = 0; c < d; c++) {
                score += q[c] * at.keyOf(i, c);
            }
            int e = at.positionOf(i) % spec.slotPositions() * slots;
            for (int r = 0; r < slots; r++) {
                weight[r] += score * rows[e + r];
            }
        }
        softmax(weight, Math.sqrt(d));
        double[] o = new double[d];
        for (int r = 0; r < slots; r++) {
            for (int e = 0; e < d; e++) {
                o[e] += weight[r] * at.past(spec.slotValues() + r * d + e);
            }
        }
        for (int i = 0; i < at.included(); i++) {
            int row = at.positionOf(i) % spec.slotPositions() * slots;
            double share = 0;
            for (int r = 0; r < slots; r++) {
                share += weight[r] * rows[row + r];
            }
            for (int e = 0; e < d; e++) {
                o[e] += share * at.valueOf(i, e);
            }
        }
        return o;
    }

    private static void softmax(double[] x, double temperature) {
        double max = Double.NEGATIVE_INFINITY;
        for (double v : x) {
            max = Math.max(max, v / temperature);
        }
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            x[i] = StrictMath.exp(x[i] / temperature - max);
            sum += x[i];
        }
        ReferenceAttention.scale(x, 1 / sum);
    }

    private static double[] decayed(ReferenceAttention at, int t, int head) {
        AttentionSpec spec = at.spec();
        int d = spec.headDim();
        int self = at.self();
        boolean channels = spec.past() == AttentionSpec.Past.CHANNEL_DECAY;
        double[] q = at.mappedQuery(t, head);
        ReferenceAttention.scale(q, 1 / Math.sqrt(d));
        double[] o = new double[d];
        for (int c = 0; c < d; c++) {
            double weight = q[c] * StrictMath.exp(at.decayOf(self, channels ? c : 0));
            for (int e = 0; e < d; e++) {
                o[e] += weight * at.past(c * d + e);
            }
        }
        for (int i = 0; i <= self; i++) {
            double weight = 0;
            for (int c = 0; c < d; c++) {
                int g = channels ? c : 0;
                weight += q[c] * at.keyOf(i, c) * StrictMath.exp(at.decayOf(self, g) - at.decayOf(i, g));
            }
            for (int e = 0; e < d; e++) {
                o[e] += weight * at.valueOf(i, e);
            }
        }
        return o;
    }
}
