package dev.freshet.kernel;

import java.util.Arrays;
import java.util.Objects;

/** Feature maps of many rows at once, the vector twin of {@link ReferenceFeatures}. */
final class VectorFeatures {

    private float[] product = new float[0];

    /** Length of a mapped row: F, or the number of hash rounds. */
    static int width(AttentionSpec spec) {
        return spec.map() == AttentionSpec.FeatureMap.HASH ? spec.hashRounds() : spec.featureDim();
    }

    /**
     * Maps rows that belong to the key/value head kvHead.
     *
     * @param x in, [rows, d]; queries lie token by token, the heads that share kvHead side by side
     * @param query whether the rows are queries
     * @param out overwritten, [rows, width]
     */
    void map(AttentionSpec spec, AttentionWeights w, float[] x, int rows, boolean query, int kvHead, float[] out) {
        int d = spec.headDim();
        switch (spec.map()) {
            case IDENTITY -> System.arraycopy(x, 0, out, 0, rows * d);
            case RELU -> {
                for (int i = 0; i < rows * d; i++) {
                    out[i] = Math.max(x[i], 0f);
                }
            }
            case ELU -> {
                for (int i = 0; i < rows * d; i++) {
                    out[i] = x[i] > 0 ? x[i] + 1 : FloatMath.exp(x[i]);
                }
            }
            case UNIT -> unit(x, rows, d, out);
            case RANDOM_EXP -> randomExp(spec, FloatArray.of(Objects.requireNonNull(w.queryMap())), x, rows, out);
            case SOFTMAX_PAIR -> {
                float[] maps = FloatArray.of(Objects.requireNonNull(query ? w.queryMap() : w.keyMap()));
                softmaxPair(spec, maps, x, rows, query ? spec.share() : 1, kvHead, out);
            }
            case HASH -> codes(spec, FloatArray.of(Objects.requireNonNull(w.queryMap())), x, rows, kvHead, out);
        }
    }

    /** out = x / max(|x|, 1e-6) for every row [d]. */
    static void unit(float[] x, int rows, int d, float[] out) {
        for (int r = 0; r < rows; r++) {
            VectorMath.scale(x, r * d, FloatMath.inverseLength(x, r * d, d), out, r * d, d);
        }
    }

    private void randomExp(AttentionSpec spec, float[] projection, float[] x, int rows, float[] out) {
        int d = spec.headDim();
        int m = spec.featureDim();
        product = grown(product, rows * d);
        float scale = (float) StrictMath.pow(d, -0.25);
        VectorMath.scale(x, 0, scale, product, 0, rows * d);
        Dense.gemm(product, 0, d, projection, 0, m, out, 0, m, rows, d, m, false);
        float norm = (float) (1 / Math.sqrt(m));
        for (int r = 0; r < rows; r++) {
            float half = (float) (FloatMath.sumOfSquares(product, r * d, d) / 2);
            VectorMath.exp(out, r * m, m, -half);
            VectorMath.scale(out, r * m, norm, out, r * m, m);
        }
    }

    private void softmaxPair(
            AttentionSpec spec, float[] maps, float[] x, int rows, int share, int kvHead, float[] out) {
        int d = spec.headDim();
        int half = spec.featureDim() / 2;
        int width = 2 * half;
        for (int rr = 0; rr < share; rr++) {
            int map = (kvHead * share + rr) * d * half;
            Dense.gemm(
                    x,
                    rr * d,
                    share * d,
                    maps,
                    map,
                    half,
                    out,
                    rr * width,
                    share * width,
                    rows / share,
                    d,
                    half,
                    false);
        }
        for (int r = 0; r < rows; r++) {
            int at = r * width;
            for (int i = 0; i < half; i++) {
                out[at + half + i] = -out[at + i];
            }
            softmax(out, at, half);
            softmax(out, at + half, half);
        }
    }

    /** Softmax in place; the sum runs in ascending order. */
    static void softmax(float[] x, int at, int n) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < n; i++) {
            max = Math.max(max, x[at + i]);
        }
        VectorMath.exp(x, at, n, -max);
        float sum = 0;
        for (int i = 0; i < n; i++) {
            sum += x[at + i];
        }
        VectorMath.scale(x, at, 1f / sum, x, at, n);
    }

    private void codes(AttentionSpec spec, float[] planes, float[] x, int rows, int kvHead, float[] out) {
        int d = spec.headDim();
        int bits = spec.hashBits();
        int count = spec.hashRounds() * bits;
        product = grown(product, rows * count);
        Dense.gemm(x, 0, d, planes, kvHead * d * count, count, product, 0, count, rows, d, count, false);
        for (int r = 0; r < rows; r++) {
            for (int round = 0; round < spec.hashRounds(); round++) {
                int code = 0;
                for (int b = 0; b < bits; b++) {
                    code |= product[r * count + round * bits + b] > 0 ? 1 << b : 0;
                }
                out[r * spec.hashRounds() + round] = code;
            }
        }
    }

    /** The array itself, or a longer one when it is too short; contents are not kept. */
    static float[] grown(float[] array, int length) {
        return array.length >= length ? array : new float[Math.max(length, array.length + array.length / 2)];
    }

    /** A long enough array filled with zeros in its first elements. */
    static float[] zeroed(float[] array, int length) {
        float[] a = grown(array, length);
        Arrays.fill(a, 0, length, 0f);
        return a;
    }
}
