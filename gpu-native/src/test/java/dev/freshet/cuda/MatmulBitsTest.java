package dev.freshet.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.Matrix;
import dev.freshet.kernel.Quantization;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.sampling.CounterRng;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The bit rule across the three forms of a product: few rows, some rows, many rows, and sums of several parts. */
final class MatmulBitsTest {

    /** The last count that each form takes, and the first of the next. */
    private static final int[] ROWS = {1, 8, 9, 32, 33, 64, 65};

    private static final int MOST = 70;

    private static float[] random(int n, long seed) {
        float[] out = new float[n];
        for (int i = 0; i < n; i++) {
            out[i] = (float) (CounterRng.uniform(seed, i) * 2 - 1);
        }
        return out;
    }

    @ParameterizedTest
    @EnumSource(WeightFormat.class)
    void numberOfRowsChangesNoBit(WeightFormat format) {
        try (Kernels kernels = FakeDriver.open()) {
            for (int k : new int[] {16, 250, 257, 700}) {
                int n = 40;
                float[] w = random(n * k, 3);
                float[] x = random(MOST * k, 4);
                float[] bias = random(n, 5);
                Matrix matrix = kernels.pack((row, out) -> System.arraycopy(w, row * k, out, 0, k), n, k, format);
                float[] all = product(kernels, matrix, bias, x, MOST);
                for (int rows : ROWS) {
                    for (int from = 0; from + rows <= MOST; from += 23) {
                        float[] part = Arrays.copyOfRange(x, from * k, (from + rows) * k);
                        assertThat(product(kernels, matrix, bias, part, rows))
                                .as("%s k %d rows %d from %d", format, k, rows, from)
                                .isEqualTo(Arrays.copyOfRange(all, from * n, (from + rows) * n));
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = WeightFormat.class, names = "F32", mode = EnumSource.Mode.EXCLUDE)
    void activationsAreRoundedToBf16(WeightFormat format) {
        try (Kernels kernels = FakeDriver.open()) {
            int n = 17;
            int k = 300;
            float[] w = random(n * k, 6);
            float[] x = random(3 * k, 7);
            float[] rounded = x.clone();
            Quantization.round(rounded, WeightFormat.BF16);
            assertThat(rounded).isNotEqualTo(x);
            Matrix matrix = kernels.pack((row, out) -> System.arraycopy(w, row * k, out, 0, k), n, k, format);
            assertThat(product(kernels, matrix, new float[n], x, 3))
                    .isEqualTo(product(kernels, matrix, new float[n], rounded, 3));
        }
    }

    private static float[] product(Kernels kernels, Matrix matrix, float[] bias, float[] x, int rows) {
        float[] nan = new float[rows * matrix.n()];
        Arrays.fill(nan, Float.NaN);
        Buffer out = kernels.upload(nan);
        kernels.matmul(matrix, kernels.upload(bias), kernels.upload(x), rows, out);
        kernels.read(out, 0, nan, 0, nan.length);
        return nan;
    }
}
