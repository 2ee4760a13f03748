package dev.freshet.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class HalfPrecisionTest {

    @Test
    void everyHalfHasItsDefinedValue() {
        for (int bits = 0; bits < 0x10000; bits++) {
            int exponent = bits >> 10 & 31;
            int fraction = bits & 0x3ff;
            double magnitude = exponent == 31
                    ? (fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN)
                    : exponent == 0 ? fraction * 0x1p-24 : (1 + fraction / 1024.0) * Math.scalb(1.0, exponent - 15);
            float expected = (float) ((bits & 0x8000) == 0 ? magnitude : -magnitude);
            float got = HalfPrecision.fromF16((short) bits);
            assertThat(Float.compare(got, expected)).as("bits %x", bits).isZero();
        }
    }

    @Test
    void everyHalfSurvivesTheWriter() {
        for (int bits = 0; bits < 0x10000; bits++) {
            float f16 = HalfPrecision.fromF16((short) bits);
            float bf16 = HalfPrecision.fromBf16((short) bits);
            if (!Float.isNaN(f16)) {
                assertThat(SafetensorsWriter.toF16(f16)).isEqualTo((short) bits);
            }
            if (!Float.isNaN(bf16)) {
                assertThat(SafetensorsWriter.toBf16(bf16)).isEqualTo((short) bits);
            }
        }
    }

    @Test
    void bf16IsTheUpperHalfOfASingle() {
        assertThat(HalfPrecision.fromBf16((short) 0x3f80)).isEqualTo(1f);
        assertThat(HalfPrecision.fromBf16((short) 0xc049)).isEqualTo(-3.140625f);
        assertThat(HalfPrecision.fromBf16((short) 0x7f80)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(HalfPrecision.fromBf16((short) 0x7fc0)).isNaN();
    }

    @Test
    void writerRoundsToNearestEven() {
        assertThat(SafetensorsWriter.toF16(1 + 0x1p-11f)).isEqualTo((short) 0x3c00);
        assertThat(SafetensorsWriter.toF16(1 + 3 * 0x1p-11f)).isEqualTo((short) 0x3c02);
        assertThat(SafetensorsWriter.toF16(65519f)).isEqualTo((short) 0x7bff);
        assertThat(SafetensorsWriter.toBf16(1 + 0x1p-8f)).isEqualTo((short) 0x3f80);
        assertThat(SafetensorsWriter.toBf16(1 + 3 * 0x1p-8f)).isEqualTo((short) 0x3f82);
    }
}
