package dev.freshet.kernel;

/**
 * Weights packed for {@link PackedGemm}: panels of 2 · LANES outputs, within a panel the weights of all outputs for input 0, then
 * for input 1, and so on, so that one pass over memory meets them in order. Immutable after packing.
 *
 * <p>F32 keeps floats. BF16 keeps one int for a pair of outputs: output i in the low half, output LANES + i in the high half. INT8
 * keeps one int for the same pair at two inputs: bytes (i, input), (LANES + i, input), (i, input + 1), (LANES + i, input + 1).
 *
 * @param n outputs
 * @param k inputs
 * @param format how a weight is kept
 * @param floats F32 data, else empty
 * @param ints BF16 and INT8 data, else empty
 * @param scales INT8: the factor of each output divided by {@link GemmInt8#LIFT}, padded to whole panels, else empty
 */
record PackedMatrix(int n, int k, WeightFormat format, float[] floats, int[] ints, float[] scales) implements Matrix {

    static final int LANES = VectorMath.LANES;
    static final int PANEL = 2 * LANES;

    int panels() {
        return (n + PANEL - 1) / PANEL;
    }

    /** Array elements of one panel. */
    int panelSize() {
        return panelSize(k, format);
    }

    static int panelSize(int k, WeightFormat format) {
        return switch (format) {
            case F32 -> k * PANEL;
            case BF16 -> k * LANES;
            case INT8 -> (k + 1) / 2 * LANES;
        };
    }

    @Override
    public long bytes() {
        return 4L * (floats.length + ints.length + scales.length);
    }

    /** Packs a matrix, panels in parallel. */
    static PackedMatrix pack(MatrixSource source, int n, int k, WeightFormat format, WorkerPool pool) {
        int panels = (n + PANEL - 1) / PANEL;
        long size = (long) panels * panelSize(k, format);
        if (size > Integer.MAX_VALUE - 16) {
            throw new IllegalArgumentException("Cannot pack a matrix of " + n + " x " + k + " weights as " + format
                    + ": expected at most 2^31 words, got " + size + ". Use a smaller weight format.");
        }
        boolean f32 = format == WeightFormat.F32;
        PackedMatrix m = new PackedMatrix(
                n,
                k,
                format,
                new float[f32 ? (int) size : 0],
                new int[f32 ? 0 : (int) size],
                new float[format == WeightFormat.INT8 ? panels * PANEL : 0]);
        pool.run(panels, (from, to, worker) -> {
            float[] row = new float[k];
            for (int p = from; p < to; p++) {
                for (int i = 0; i < PANEL && p * PANEL + i < n; i++) {
                    source.row(p * PANEL + i, row);
                    m.put(p, i, row);
                }
            }
        });
        return m;
    }

    private void put(int panel, int i, float[] row) {
        int base = panel * panelSize();
        int lane = i % LANES;
        int half = i / LANES;
        switch (format) {
            case F32 -> {
                for (int c = 0; c < k; c++) {
                    floats[base + c * PANEL + i] = row[c];
                }
            }
            case BF16 -> {
                for (int c = 0; c < k; c++) {
                    ints[base + c * LANES + lane] |= Quantization.bf16(row[c]) << (16 * half);
                }
            }
            case INT8 -> {
                float scale = Quantization.scale(row);
                scales[panel * PANEL + i] = scale / GemmInt8.LIFT;
                for (int c = 0; c < k; c++) {
                    int value = Quantization.int8(row[c], scale) & 0xff;
                    ints[base + c / 2 * LANES + lane] |= value << (16 * (c % 2) + 8 * half);
                }
            }
        }
    }

    /** Writes the weights of output i, or adds them to what is there; out [k] from at on. */
    void row(int i, float[] out, int at, boolean add) {
        for (int c = 0; c < k; c++) {
            out[at + c] = add ? out[at + c] + get(i, c) : get(i, c);
        }
    }

    /** Weight of output i for input c, as the kernels see it. */
    float get(int i, int c) {
        int base = i / PANEL * panelSize();
        int column = i % PANEL;
        int lane = column % LANES;
        int half = column / LANES;
        return switch (format) {
            case F32 -> floats[base + c * PANEL + column];
            case BF16 -> Float.intBitsToFloat((ints[base + c * LANES + lane] >>> (16 * half)) << 16);
            case INT8 -> {
                byte value = (byte) (ints[base + c / 2 * LANES + lane] >>> (16 * (c % 2) + 8 * half));
                yield value * (scales[i] * GemmInt8.LIFT);
            }
        };
    }
}
