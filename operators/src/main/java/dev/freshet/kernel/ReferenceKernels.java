package dev.freshet.kernel;

import org.jspecify.annotations.Nullable;

/** The definition: plain loops with sums in double. Slow on purpose; every faster backend is tested against it. */
public final class ReferenceKernels extends HeapKernels {

    /** Rows as they were given, converted to f32 values of the format. */
    private record PlainMatrix(int n, int k, float[][] rows, WeightFormat format) implements Matrix {

        @Override
        public long bytes() {
            return 4L * n * k;
        }
    }

    @Override
    public String name() {
        return "reference";
    }

    @Override
    public String describe() {
        return "reference kernels: plain Java loops, double sums, one thread";
    }

    @Override
    public Matrix pack(MatrixSource source, int n, int k, WeightFormat format) {
        float[][] rows = new float[n][k];
        for (int i = 0; i < n; i++) {
            source.row(i, rows[i]);
            Quantization.round(rows[i], format);
        }
        return new PlainMatrix(n, k, rows, format);
    }

    @Override
    public void embed(Matrix table, int[] tokens, int rows, Buffer out) {
        PlainMatrix m = (PlainMatrix) table;
        for (int i = 0; i < rows; i++) {
            System.arraycopy(m.rows[tokens[i]], 0, FloatArray.of(out), i * m.k, m.k);
        }
    }

    @Override
    public void addEmbedding(Matrix table, int[] positions, int rows, Buffer x) {
        PlainMatrix m = (PlainMatrix) table;
        float[] a = FloatArray.of(x);
        for (int i = 0; i < rows; i++) {
            for (int c = 0; c < m.k; c++) {
                a[i * m.k + c] += m.rows[positions[i]][c];
            }
        }
    }

    @Override
    public void matmul(Matrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out) {
        product((PlainMatrix) w, bias, FloatArray.of(x), rows, FloatArray.of(out), false);
    }

    @Override
    public void matmulAdd(Matrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out) {
        product((PlainMatrix) w, bias, FloatArray.of(x), rows, FloatArray.of(out), true);
    }

    private static void product(PlainMatrix m, @Nullable Buffer bias, float[] x, int rows, float[] out, boolean add) {
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < m.n; j++) {
                double sum = 0;
                for (int c = 0; c < m.k; c++) {
                    sum += (double) x[i * m.k + c] * m.rows[j][c];
                }
                if (bias != null) {
                    sum += FloatArray.of(bias)[j];
                }
                int at = i * m.n + j;
                out[at] = (float) (add ? out[at] + sum : sum);
            }
        }
    }

    @Override
    public void rmsNorm(Buffer x, int rows, int dim, Buffer weight, double eps, Buffer out) {
        float[] a = FloatArray.of(x);
        for (int i = 0; i < rows; i++) {
            double squares = 0;
            for (int c = 0; c < dim; c++) {
                squares += (double) a[i * dim + c] * a[i * dim + c];
            }
            double scale = 1 / Math.sqrt(squares / dim + eps);
            for (int c = 0; c < dim; c++) {
                FloatArray.of(out)[i * dim + c] = (float) (a[i * dim + c] * scale * FloatArray.of(weight)[c]);
            }
        }
    }

    @Override
    public void layerNorm(Buffer x, int rows, int dim, Buffer weight, Buffer bias, double eps, Buffer out) {
        float[] a = FloatArray.of(x);
        for (int i = 0; i < rows; i++) {
            double mean = 0;
            for (int c = 0; c < dim; c++) {
                mean += a[i * dim + c];
            }
            mean /= dim;
            double variance = 0;
            for (int c = 0; c < dim; c++) {
                variance += (a[i * dim + c] - mean) * (a[i * dim + c] - mean);
            }
            double scale = 1 / Math.sqrt(variance / dim + eps);
            for (int c = 0; c < dim; c++) {
                FloatArray.of(out)[i * dim + c] =
                        (float) ((a[i * dim + c] - mean) * scale * FloatArray.of(weight)[c] + FloatArray.of(bias)[c]);
            }
        }
    }

    @Override
    public void rope(Buffer x, int rows, int stride, int heads, int dim, float[] cosSin) {
        float[] a = FloatArray.of(x);
        int half = dim / 2;
        for (int i = 0; i < rows; i++) {
            for (int h = 0; h < heads; h++) {
                for (int c = 0; c < half; c++) {
                    int at = i * stride + h * dim + c;
                    double cos = cosSin[i * dim + c];
                    double sin = cosSin[i * dim + half + c];
                    double first = a[at];
                    double second = a[at + half];
                    a[at] = (float) (first * cos - second * sin);
                    a[at + half] = (float) (second * cos + first * sin);
                }
            }
        }
    }

    @Override
    public void siluMul(Buffer x, int rows, int dim, Buffer out) {
        float[] a = FloatArray.of(x);
        for (int i = 0; i < rows; i++) {
            for (int c = 0; c < dim; c++) {
                double gate = a[2 * i * dim + c];
                double up = a[2 * i * dim + dim + c];
                FloatArray.of(out)[i * dim + c] = (float) (gate * sigmoid(gate) * up);
            }
        }
    }

    @Override
    public void gelu(Buffer x, int count) {
        float[] a = FloatArray.of(x);
        for (int i = 0; i < count; i++) {
            double y = a[i];
            a[i] = (float) (0.5 * y * (1 + StrictMath.tanh(Math.sqrt(2 / Math.PI) * (y + 0.044715 * y * y * y))));
        }
    }

    @Override
    public void addSilu(Buffer x, Buffer y, int count, Buffer out) {
        for (int i = 0; i < count; i++) {
            double b = FloatArray.of(y)[i];
            FloatArray.of(out)[i] = (float) (FloatArray.of(x)[i] + b * sigmoid(b));
        }
    }

    @Override
    public void logSigmoidGate(Buffer x, int count) {
        float[] a = FloatArray.of(x);
        for (int i = 0; i < count; i++) {
            a[i] = (float) (-softplus(-a[i]) / 16);
        }
    }

    @Override
    public void deltaGate(Buffer x, int rows, int kv, Buffer aLog, Buffer bias) {
        float[] a = FloatArray.of(x);
        for (int i = 0; i < rows; i++) {
            for (int g = 0; g < kv; g++) {
                int beta = i * 2 * kv + g;
                a[beta] = (float) sigmoid(a[beta]);
                double step = softplus((double) a[beta + kv] + FloatArray.of(bias)[g]);
                a[beta + kv] = (float) (-StrictMath.exp(FloatArray.of(aLog)[g]) * step);
            }
        }
    }

    static double sigmoid(double x) {
        return 1 / (1 + StrictMath.exp(-x));
    }

    /** log(1 + e^x) without overflow. */
    static double softplus(double x) {
        return Math.max(x, 0) + StrictMath.log1p(StrictMath.exp(-Math.abs(x)));
    }

    @Override
    public void attend(AttentionCall call) {
        checkWithinGroup(call.spec(), call.segments());
        ReferenceAttention.attend(call);
    }

    @Override
    public void commit(AttentionCall call, Paths paths) {
        ReferenceCommit.commit(call, paths);
    }
}
