package dev.freshet.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class VectorKernelsTest extends KernelsContract {

    @Override
    protected Kernels open() {
        return new VectorKernels(2);
    }

    @Test
    void exponentialHasTheSameBitsInLanesAndTails() {
        int n = 4 * VectorMath.LANES + 3;
        for (int start = -90; start < 90; start++) {
            float[] lanes = new float[n];
            for (int i = 0; i < n; i++) {
                lanes[i] = start + 0.037f * i;
            }
            float[] expected = lanes.clone();
            VectorMath.exp(lanes, 0, n, 0f);
            for (int i = 0; i < n; i++) {
                assertThat(lanes[i]).isEqualTo(FloatMath.exp(expected[i]));
                double exact = Math.exp(Math.max(FloatMath.EXP_MIN, Math.min(FloatMath.EXP_MAX, expected[i])));
                assertThat(Math.abs(lanes[i] - exact) / exact).isLessThan(3e-7);
            }
        }
        assertThat(FloatMath.exp(Float.NaN)).isNaN();
    }
}
