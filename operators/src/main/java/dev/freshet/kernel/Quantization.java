package dev.freshet.kernel;

/** Rounding of f32 weights to the stored formats. */
public final class Quantization {

    private Quantization() {}

    /** The upper 16 bits of the bfloat16 nearest to x, ties to even; NaN stays NaN. */
    public static int bf16(float x) {
        int bits = Float.floatToRawIntBits(x);
        if (Float.isNaN(x)) {
            return (bits >>> 16) | 0x40;
        }
        return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
    }

    /** Scale of a row of int8 weights: the largest magnitude maps to 127; 1 for a row of zeros. */
    public static float scale(float[] row) {
        float max = 0;
        for (float x : row) {
            max = Math.max(max, Math.abs(x));
        }
        return max == 0 ? 1 : max / 127;
    }

    /** x / scale to the nearest integer in [-127, 127]. */
    public static int int8(float x, float scale) {
        return Math.max(-127, Math.min(127, Math.round(x / scale)));
    }

    /** Replaces the weights of a row by the values that the format keeps. */
    public static void round(float[] row, WeightFormat format) {
        switch (format) {
            case F32 -> {}
            case BF16 -> {
                for (int i = 0; i < row.length; i++) {
                    row[i] = Float.intBitsToFloat(bf16(row[i]) << 16);
                }
            }
            case INT8 -> {
                float scale = scale(row);
                for (int i = 0; i < row.length; i++) {
                    row[i] = int8(row[i], scale) * scale;
                }
            }
        }
    }
}
