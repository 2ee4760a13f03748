package dev.freshet.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.sampling.CounterRng;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What every backend must do as the reference does, at sizes that hurt. Outputs start as NaN. Attention has its golden files; here
 * are the other operations and the bit rule of matrix products.
 */
public abstract class KernelsContract {

    private static final int[] SIZES = {1, 7, 31, 32, 33, 64, 65, 127, 300};
    private static final int[] ROWS = {1, 2, 3, 4, 5, 8, 33};

    private final Kernels reference = new ReferenceKernels();
    private Kernels kernels = reference;
    private long drawn;

    protected abstract Kernels open();

    /** Activations that a backend which rounds them for a weight format reads as they are. */
    protected float[] activations(float[] x, WeightFormat format) {
        return x;
    }

    @BeforeEach
    void start() {
        kernels = open();
    }

    @AfterEach
    void stop() {
        kernels.close();
    }

    private float[] random(int n) {
        float[] out = new float[n];
        for (int i = 0; i < n; i++) {
            // Now and then an outlier, as activations have.
            double u = CounterRng.uniform(17, drawn++) * 2 - 1;
            out[i] = (float) (i % 97 == 5 ? 20 * u : u);
        }
        return out;
    }

    private static float[] nan(int n) {
        float[] out = new float[n];
        Arrays.fill(out, Float.NaN);
        return out;
    }

    private static float[] content(Kernels k, Buffer b) {
        float[] out = new float[(int) b.length()];
        k.read(b, 0, out, 0, out.length);
        return out;
    }

    private static void close(float[] actual, float[] expected, double scale, String what) {
        for (int i = 0; i < expected.length; i++) {
            Tolerances.KERNEL.check(actual[i] / scale, expected[i] / scale, what + " element " + i);
        }
    }

    private static Matrix pack(Kernels k, float[] w, int n, int inputs, WeightFormat format) {
        return k.pack((row, out) -> System.arraycopy(w, row * inputs, out, 0, inputs), n, inputs, format);
    }

    @ParameterizedTest
    @EnumSource(WeightFormat.class)
    void matrixProducts(WeightFormat format) {
        for (int n : SIZES) {
            for (int k : SIZES) {
                float[] w = random(n * k);
                float[] bias = random(n);
                float[] x = activations(random(33 * k), format);
                float[] before = random(33 * n);
                Matrix fast = pack(kernels, w, n, k, format);
                Matrix slow = pack(reference, w, n, k, format);
                float[] alone = product(kernels, fast, bias, x, 33, nan(33 * n), false);
                float[] expected = product(reference, slow, bias, x, 33, nan(33 * n), false);
                close(alone, expected, Math.sqrt(k), format + " " + n + "x" + k);
                float[] sum = product(kernels, fast, null, x, 33, before, true);
                float[] expectedSum = product(reference, slow, null, x, 33, before, true);
                close(sum, expectedSum, Math.sqrt(k), format + " added " + n + "x" + k);
                for (int rows : ROWS) {
                    for (int from = 0; from + rows <= 33; from += 11) {
                        float[] part = Arrays.copyOfRange(x, from * k, (from + rows) * k);
                        assertThat(product(kernels, fast, bias, part, rows, nan(rows * n), false))
                                .as("%s %dx%d rows %d from %d, bit for bit", format, n, k, rows, from)
                                .isEqualTo(Arrays.copyOfRange(alone, from * n, (from + rows) * n));
                    }
                }
            }
        }
    }

    private static float[] product(
            Kernels k, Matrix w, float @Nullable [] bias, float[] x, int rows, float[] out, boolean add) {
        Buffer to = k.upload(out);
        Buffer b = bias == null ? null : k.upload(bias);
        if (add) {
            k.matmulAdd(w, b, k.upload(x), rows, to);
        } else {
            k.matmul(w, b, k.upload(x), rows, to);
        }
        return content(k, to);
    }

    @ParameterizedTest
    @EnumSource(WeightFormat.class)
    void embeddings(WeightFormat format) {
        for (int d : SIZES) {
            float[] table = random(40 * d);
            float[] x = random(3 * d);
            int[] ids = {39, 0, 17};
            float[][] out = new float[2][];
            Kernels[] both = {kernels, reference};
            for (int i = 0; i < 2; i++) {
                Matrix m = pack(both[i], table, 40, d, format);
                Buffer buffer = both[i].upload(nan(3 * d));
                both[i].embed(m, ids, 3, buffer);
                Buffer sum = both[i].upload(x);
                both[i].addEmbedding(m, ids, 3, sum);
                out[i] = content(both[i], buffer);
                close(content(both[i], sum), added(out[i], x), 1, "sum of embeddings " + d);
            }
            assertThat(out[0]).as("%s embedding %d", format, d).isEqualTo(out[1]);
        }
    }

    private static float[] added(float[] a, float[] b) {
        float[] out = a.clone();
        for (int i = 0; i < out.length; i++) {
            out[i] += b[i];
        }
        return out;
    }

    @Test
    void norms() {
        for (int d : SIZES) {
            for (int rows : ROWS) {
                float[] x = random(rows * d);
                float[] w = random(d);
                float[] b = random(d);
                float[][] rms = new float[2][];
                float[][] layer = new float[2][];
                Kernels[] both = {kernels, reference};
                for (int i = 0; i < 2; i++) {
                    Kernels k = both[i];
                    Buffer out = k.upload(nan(rows * d));
                    k.rmsNorm(k.upload(x), rows, d, k.upload(w), 1e-5, out);
                    rms[i] = content(k, out);
                    k.layerNorm(k.upload(x), rows, d, k.upload(w), k.upload(b), 1e-5, out);
                    layer[i] = content(k, out);
                }
                close(rms[0], rms[1], 1, "rms norm " + d);
                // With two or fewer values the deviation is as small as its rounding.
                close(layer[0], layer[1], d < 3 ? 100 : 1, "layer norm " + d);
            }
        }
    }

    @Test
    void activations() {
        for (int d : SIZES) {
            for (int rows : new int[] {1, 3}) {
                float[] x = random(rows * 2 * d);
                x[0] = -100;
                x[x.length - 1] = 100;
                float[][] silu = new float[2][];
                float[][] gelu = new float[2][];
                float[][] residual = new float[2][];
                Kernels[] both = {kernels, reference};
                for (int i = 0; i < 2; i++) {
                    Kernels k = both[i];
                    Buffer out = k.upload(nan(rows * d));
                    k.siluMul(k.upload(x), rows, d, out);
                    silu[i] = content(k, out);
                    Buffer in = k.upload(x);
                    k.gelu(in, x.length);
                    gelu[i] = content(k, in);
                    Buffer sum = k.upload(nan(x.length));
                    k.addSilu(k.upload(x), k.upload(x), x.length, sum);
                    residual[i] = content(k, sum);
                }
                close(silu[0], silu[1], 1, "silu " + d);
                close(gelu[0], gelu[1], 1, "gelu " + d);
                close(residual[0], residual[1], 1, "residual silu " + d);
            }
        }
    }

    @Test
    void rotaryEmbedding() {
        for (int half : new int[] {1, 4, 16, 31}) {
            int d = 2 * half;
            int stride = 5 * d;
            float[] x = random(3 * stride);
            float[] cosSin = new float[3 * d];
            for (int i = 0; i < 3; i++) {
                for (int c = 0; c < half; c++) {
                    cosSin[i * d + c] = (float) Math.cos(i + 0.3 * c);
                    cosSin[i * d + half + c] = (float) Math.sin(i + 0.3 * c);
                }
            }
            Buffer fast = kernels.upload(x);
            Buffer slow = reference.upload(x);
            kernels.rope(fast, 3, stride, 3, d, cosSin);
            reference.rope(slow, 3, stride, 3, d, cosSin);
            close(content(kernels, fast), content(reference, slow), 1, "rope " + d);
            for (int i = 0; i < 3; i++) {
                assertThat(Arrays.copyOfRange(content(kernels, fast), i * stride + 3 * d, (i + 1) * stride))
                        .as("values beyond the rotated heads")
                        .isEqualTo(Arrays.copyOfRange(x, i * stride + 3 * d, (i + 1) * stride));
            }
        }
    }

    @Test
    void gates() {
        float[] x = random(2 * 6);
        float[] aLog = random(3);
        float[] bias = random(3);
        float[][] delta = new float[2][];
        float[][] sigmoid = new float[2][];
        Kernels[] both = {kernels, reference};
        for (int i = 0; i < 2; i++) {
            Kernels k = both[i];
            Buffer in = k.upload(x);
            k.deltaGate(in, 2, 3, k.upload(aLog), k.upload(bias));
            delta[i] = content(k, in);
            Buffer gate = k.upload(x);
            k.logSigmoidGate(gate, x.length);
            sigmoid[i] = content(k, gate);
        }
        close(delta[0], delta[1], 1, "delta gate");
        close(sigmoid[0], sigmoid[1], 1, "log sigmoid gate");
    }
}
