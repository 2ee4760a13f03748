package dev.freshet.kernel;

/**
 * Elementary functions in float arithmetic whose bits depend on the argument alone: fused multiply-adds in a fixed order, so the
 * vector form in {@link VectorMath} gives the same bits in every lane and at every width.
 */
final class FloatMath {

    static final float LOG2E = 1.44269504f;
    /** LN2_HIGH + LN2_LOW is ln 2; the first part has few bits, so multiples of it are exact. */
    static final float LN2_HIGH = 0.693359375f;

    static final float LN2_LOW = -2.12194440e-4f;
    /** Adding and subtracting it rounds a float of small magnitude to the nearest integer. */
    static final float ROUND = 12582912f;

    /** Below it exp is 0 for every purpose of attention; the result stays a normal number. */
    static final float EXP_MIN = -87f;

    static final float EXP_MAX = 88f;
    static final float P0 = 1.9875691500e-4f;
    static final float P1 = 1.3981999507e-3f;
    static final float P2 = 8.3334519073e-3f;
    static final float P3 = 4.1665795894e-2f;
    static final float P4 = 1.6666665459e-1f;
    static final float P5 = 5.0000001201e-1f;

    private FloatMath() {}

    /** e^x for x in [-87, 88], clamped outside, NaN for NaN; minimax polynomial of degree 7, about 1 ulp. */
    static float exp(float x) {
        float y = Math.min(Math.max(x, EXP_MIN), EXP_MAX);
        float shifted = Math.fma(y, LOG2E, ROUND);
        float n = shifted - ROUND;
        float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, y));
        float p = P0;
        p = Math.fma(p, r, P1);
        p = Math.fma(p, r, P2);
        p = Math.fma(p, r, P3);
        p = Math.fma(p, r, P4);
        p = Math.fma(p, r, P5);
        p = Math.fma(p, r * r, r);
        p = p + 1f;
        int bits = (Float.floatToRawIntBits(shifted) << 23) + 0x3f800000;
        return p * Float.intBitsToFloat(bits);
    }

    /** 1 / (1 + e^-x). */
    static float sigmoid(float x) {
        return 1f / (1f + exp(-x));
    }

    /** x / (1 + e^-x). */
    static float silu(float x) {
        return x / (1f + exp(-x));
    }

    /** tanh form of GELU: x / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715 x³), which equals 0.5 x (1 + tanh u). */
    static float gelu(float x) {
        float u = 0.7978845608f * Math.fma(0.044715f * x * x, x, x);
        return x / (1f + exp(-2f * u));
    }

    /** Root mean square normaliser: 1 / sqrt(mean of squares + eps), the squares summed in double in four interleaved sums. */
    static double inverseRms(float[] x, int offset, int n, double eps) {
        return 1 / Math.sqrt(sumOfSquares(x, offset, n) / n + eps);
    }

    /** 1 / max(|x|, 1e-6). */
    static float inverseLength(float[] x, int offset, int n) {
        return (float) (1 / Math.max(Math.sqrt(sumOfSquares(x, offset, n)), 1e-6));
    }

    /** Sum of squares in double; four interleaved sums, added in a fixed order. */
    static double sumOfSquares(float[] x, int offset, int n) {
        double a = 0;
        double b = 0;
        double c = 0;
        double d = 0;
        int i = 0;
        for (; i + 3 < n; i += 4) {
            double x0 = x[offset + i];
            double x1 = x[offset + i + 1];
            double x2 = x[offset + i + 2];
            double x3 = x[offset + i + 3];
            a += x0 * x0;
            b += x1 * x1;
            c += x2 * x2;
            d += x3 * x3;
        }
        for (; i < n; i++) {
            double x0 = x[offset + i];
            a += x0 * x0;
        }
        return (a + b) + (c + d);
    }
}
