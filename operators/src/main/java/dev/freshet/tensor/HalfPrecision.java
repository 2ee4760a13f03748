package dev.freshet.tensor;

/** Widens 16-bit floats to single precision, exactly. */
final class HalfPrecision {

    private HalfPrecision() {}

    /** The value of bfloat16 bits. */
    static float fromBf16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** The value of IEEE 754 half-precision bits; subnormals, infinities and NaN payloads are kept. */
    static float fromF16(short bits) {
        int sign = (bits & 0x8000) << 16;
        int magnitude = bits & 0x7fff;
        if (magnitude >= 0x7c00) {
            return Float.intBitsToFloat(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
        }
        if (magnitude >= 0x0400) {
            return Float.intBitsToFloat(sign | (magnitude << 13) + (112 << 23));
        }
        // Subnormal: the magnitude counts units of 2^-24, and both factors are exact in single precision.
        float value = magnitude * 0x1p-24f;
        return sign == 0 ? value : -value;
    }
}
