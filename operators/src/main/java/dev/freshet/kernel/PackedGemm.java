package dev.freshet.kernel;

import static dev.freshet.kernel.PackedMatrix.PANEL;

import org.jspecify.annotations.Nullable;

/** y = W x + bias for many rows over a range of panels: chooses register tiles by row count, never a summation order. */
final class PackedGemm {

    private PackedGemm() {}

    /**
     * Computes the outputs of panels [from, to).
     *
     * @param x in, [rows, k]
     * @param y overwritten or, with add, in/out, [rows, n]
     * @param scratch at least 4 · 4 · PANEL floats, this worker's own
     */
    static void panels(
            PackedMatrix m,
            float @Nullable [] bias,
            float[] x,
            int rows,
            float[] y,
            boolean add,
            int from,
            int to,
            float[] scratch) {
        int p = from;
        if (rows == 1) {
            for (; p + 3 < to; p += 4) {
                tile(m, p, x, 0, 1, 4, scratch);
                store(m, bias, y, 0, 1, p, 4, add, scratch);
            }
        }
        for (; p < to; p++) {
            int r = 0;
            for (; r + 3 < rows; r += 4) {
                tile(m, p, x, r, 4, 1, scratch);
                store(m, bias, y, r, 4, p, 1, add, scratch);
            }
            if (r + 1 < rows) {
                tile(m, p, x, r, 2, 1, scratch);
                store(m, bias, y, r, 2, p, 1, add, scratch);
                r += 2;
            }
            if (r < rows) {
                tile(m, p, x, r, 1, 1, scratch);
                store(m, bias, y, r, 1, p, 1, add, scratch);
            }
        }
    }

    /** Raw sums of rows [row, row + count) and panels [panel, panel + wide) into scratch [count, wide · PANEL]. */
    private static void tile(PackedMatrix m, int panel, float[] x, int row, int count, int wide, float[] scratch) {
        int k = m.k();
        int at = panel * m.panelSize();
        int xAt = row * k;
        switch (m.format()) {
            case F32 -> {
                float[] w = m.floats();
                if (count == 4) {
                    GemmF32.rows4(w, at, k, x, xAt, k, scratch, 0, PANEL);
                } else if (count == 2) {
                    GemmF32.rows2(w, at, k, x, xAt, k, scratch, 0, PANEL);
                } else if (wide == 4) {
                    GemmF32.row1panels4(w, at, k, x, xAt, scratch, 0);
                } else {
                    GemmF32.row1(w, at, k, x, xAt, scratch, 0);
                }
            }
            case BF16 -> {
                int[] w = m.ints();
                if (count == 4) {
                    GemmBf16.rows4(w, at, k, x, xAt, k, scratch, 0, PANEL);
                } else if (count == 2) {
                    GemmBf16.rows2(w, at, k, x, xAt, k, scratch, 0, PANEL);
                } else if (wide == 4) {
                    GemmBf16.row1panels4(w, at, k, x, xAt, scratch, 0);
                } else {
                    GemmBf16.row1(w, at, k, x, xAt, scratch, 0);
                }
            }
            case INT8 -> {
                int[] w = m.ints();
                if (count == 4) {
                    GemmInt8.rows4(w, at, k, x, xAt, k, scratch, 0, PANEL);
                } else if (count == 2) {
                    GemmInt8.rows2(w, at, k, x, xAt, k, scratch, 0, PANEL);
                } else if (wide == 4) {
                    GemmInt8.row1panels4(w, at, k, x, xAt, scratch, 0);
                } else {
                    GemmInt8.row1(w, at, k, x, xAt, scratch, 0);
                }
            }
        }
    }

    /** Scales (int8), adds bias and old value, and drops the padding of the last panel. */
    private static void store(
            PackedMatrix m,
            float @Nullable [] bias,
            float[] y,
            int row,
            int count,
            int panel,
            int wide,
            boolean add,
            float[] sums) {
        int first = panel * PANEL;
        int columns = Math.min(wide * PANEL, m.n() - first);
        boolean scaled = m.format() == WeightFormat.INT8;
        for (int r = 0; r < count; r++) {
            int from = r * wide * PANEL;
            int at = (row + r) * m.n() + first;
            if (scaled) {
                for (int j = 0; j < columns; j++) {
                    sums[from + j] *= m.scales()[first + j];
                }
            }
            if (bias != null) {
                for (int j = 0; j < columns; j++) {
                    sums[from + j] += bias[first + j];
                }
            }
            if (add) {
                for (int j = 0; j < columns; j++) {
                    y[at + j] += sums[from + j];
                }
            } else {
                System.arraycopy(sums, from, y, at, columns);
            }
        }
    }
}
