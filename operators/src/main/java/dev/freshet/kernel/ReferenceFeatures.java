package dev.freshet.kernel;

import java.util.Objects;

/** Feature maps in double, docs/maths.md §2.2. */
final class ReferenceFeatures {

    private ReferenceFeatures() {}

    /**
     * Maps one query or key.
     *
     * @param x in, d floats from offset on
     * @param query whether it is a query; head counts query heads then, key/value heads else
     * @return [F], or the codes [rounds] of HASH
     */
    static double[] map(AttentionSpec spec, AttentionWeights w, float[] x, int offset, boolean query, int head) {
        int d = spec.headDim();
        double[] out = new double[d];
        switch (spec.map()) {
            case IDENTITY -> {
                for (int c = 0; c < d; c++) {
                    out[c] = x[offset + c];
                }
            }
            case RELU -> {
                for (int c = 0; c < d; c++) {
                    out[c] = Math.max(x[offset + c], 0);
                }
            }
            case ELU -> {
                for (int c = 0; c < d; c++) {
                    double y = x[offset + c];
                    out[c] = y > 0 ? y + 1 : StrictMath.exp(y);
                }
            }
            case UNIT -> {
                return unit(x, offset, d);
            }
            case RANDOM_EXP -> {
                return randomExp(spec, FloatArray.of(Objects.requireNonNull(w.queryMap())), x, offset);
            }
            case SOFTMAX_PAIR -> {
                Buffer map = Objects.requireNonNull(query ? w.queryMap() : w.keyMap());
                return softmaxPair(spec, FloatArray.of(map), head, x, offset);
            }
            case HASH -> {
                int kv = query ? head / spec.share() : head;
                return codes(spec, FloatArray.of(Objects.requireNonNull(w.queryMap())), kv, x, offset);
            }
        }
        return out;
    }

    static double[] unit(float[] x, int offset, int d) {
        double squares = 0;
        for (int c = 0; c < d; c++) {
            squares += (double) x[offset + c] * x[offset + c];
        }
        double length = Math.max(Math.sqrt(squares), 1e-6);
        double[] out = new double[d];
        for (int c = 0; c < d; c++) {
            out[c] = x[offset + c] / length;
        }
        return out;
    }

    private static double[] randomExp(AttentionSpec spec, float[] projection, float[] x, int offset) {
        int d = spec.headDim();
        int m = spec.featureDim();
        double scale = StrictMath.pow(d, -0.25);
        double squares = 0;
        for (int c = 0; c < d; c++) {
            double y = x[offset + c] * scale;
            squares += y * y;
        }
        double[] out = new double[m];
        for (int f = 0; f < m; f++) {
            double sum = 0;
            for (int c = 0; c < d; c++) {
                sum += projection[c * m + f] * (x[offset + c] * scale);
            }
            out[f] = StrictMath.exp(sum - squares / 2) / Math.sqrt(m);
        }
        return out;
    }

    private static double[] softmaxPair(AttentionSpec spec, float[] maps, int head, float[] x, int offset) {
        int d = spec.headDim();
        int half = spec.featureDim() / 2;
        double[] y = new double[half];
        for (int f = 0; f < half; f++) {
            for (int c = 0; c < d; c++) {
                y[f] += (double) maps[(head * d + c) * half + f] * x[offset + c];
            }
        }
        double[] out = new double[2 * half];
        softmax(y, 1, out, 0);
        softmax(y, -1, out, half);
        return out;
    }

    private static void softmax(double[] y, int sign, double[] out, int at) {
        double max = Double.NEGATIVE_INFINITY;
        for (double v : y) {
            max = Math.max(max, sign * v);
        }
        double sum = 0;
        for (int i = 0; i < y.length; i++) {
            out[at + i] = StrictMath.exp(sign * y[i] - max);
            sum += out[at + i];
        }
        for (int i = 0; i < y.length; i++) {
            out[at + i] /= sum;
        }
    }

    private static double[] codes(AttentionSpec spec, float[] planes, int kvHead, float[] x, int offset) {
        int d = spec.headDim();
        int planeCount = spec.hashRounds() * spec.hashBits();
        double[] out = new double[spec.hashRounds()];
        for (int r = 0; r < spec.hashRounds(); r++) {
            int code = 0;
            for (int b = 0; b < spec.hashBits(); b++) {
                int plane = r * spec.hashBits() + b;
                double sum = 0;
                for (int c = 0; c < d; c++) {
                    sum += (double) planes[(kvHead * d + c) * planeCount + plane] * x[offset + c];
                }
                code |= sum > 0 ? 1 << b : 0;
            }
            out[r] = code;
        }
        return out;
    }
}
