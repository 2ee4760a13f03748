package dev.freshet.kernel;

import static dev.freshet.kernel.PackedMatrix.PANEL;
import static dev.freshet.kernel.VectorMath.LANES;

import org.jspecify.annotations.Nullable;

/**
 * y = W x + bias for many rows over a range of panels: chooses register tiles and cache blocks by the number of rows, never a
 * summation order. Blocks of inputs keep the weights and activations of a tile in the second-level cache; the chains of one block
 * go on where those of the block before ended.
 */
final class PackedGemm {

    /** Panels that a thread takes at a time. */
    static final int UNIT = 4;

    /** Inputs of a block; even, since INT8 keeps inputs in pairs. */
    private static final int BLOCK = 512;

    /** Rows that share a block of weights. */
    private static final int ROWS = 128;

    /** From so many rows on INT8 weights are spread to F32 once for all of them. */
    private static final int SPREAD_ROWS = 16;

    /** Tiles of 16 accumulators need 32 vector registers, which come with 512-bit vectors. */
    private static final boolean WIDE = LANES >= 16;

    private final float[] sums = new float[ROWS * 2 * PANEL];
    private final float[] unpacked = new float[2 * BLOCK * PANEL];

    /**
     * Computes the outputs of panels [from, to). One instance for each worker.
     *
     * @param x in, [rows, k]
     * @param y overwritten or, with add, in/out, [rows, n]
     */
    void panels(
            PackedMatrix m, float @Nullable [] bias, float[] x, int rows, float[] y, boolean add, int from, int to) {
        int p = from;
        if (rows == 1) {
            int wide = m.format() == WeightFormat.INT8 ? 2 : 4;
            for (; p + wide <= to; p += wide) {
                single(m, p, x);
                store(m, bias, y, 0, 1, p, wide, add);
            }
        }
        boolean spread = m.format() == WeightFormat.INT8 && rows >= SPREAD_ROWS;
        boolean pairs = WIDE && (m.format() != WeightFormat.INT8 || spread);
        while (p < to) {
            int wide = pairs && p + 1 < to ? 2 : 1;
            for (int row = 0; row < rows; row += ROWS) {
                int count = Math.min(ROWS, rows - row);
                blocks(m, p, wide, spread, x, row, count);
                store(m, bias, y, row, count, p, wide, add);
            }
            p += wide;
        }
    }

    /** Sums of the only row and panels [panel, panel + 4), INT8 two of them. */
    private void single(PackedMatrix m, int panel, float[] x) {
        int at = panel * m.panelSize();
        switch (m.format()) {
            case F32 -> GemmF32.rows1panels4(m.floats(), at, m.panelSize(), m.k(), x, 0, sums, 0, false);
            case BF16 -> GemmBf16.rows1panels4(m.ints(), at, m.panelSize(), m.k(), x, 0, sums, 0, false);
            case INT8 -> GemmInt8.rows1panels2(m.ints(), at, m.panelSize(), m.k(), x, 0, sums, 0, false);
        }
    }

    /** Sums of rows [row, row + count) and panels [panel, panel + wide), [count, wide · PANEL]. */
    private void blocks(PackedMatrix m, int panel, int wide, boolean spread, float[] x, int row, int count) {
        int k = m.k();
        int block = count <= 4 && !spread ? k : BLOCK;
        int first = panel * m.panelSize();
        for (int c = 0; c < k; c += block) {
            int inputs = Math.min(block, k - c);
            if (spread) {
                for (int i = 0; i < wide; i++) {
                    int at = first + i * m.panelSize() + c / 2 * LANES;
                    GemmInt8.unpack(m.ints(), at, inputs, unpacked, i * BLOCK * PANEL);
                }
            }
            int tile;
            for (int r = 0; r < count; r += tile) {
                tile = r + 3 < count ? 4 : r + 1 < count ? 2 : 1;
                int xAt = (row + r) * k + c;
                int yAt = r * wide * PANEL;
                if (spread) {
                    floatTile(unpacked, 0, BLOCK * PANEL, wide, tile, inputs, x, xAt, k, yAt, c > 0);
                    continue;
                }
                switch (m.format()) {
                    case F32 ->
                        floatTile(
                                m.floats(),
                                first + c * PANEL,
                                m.panelSize(),
                                wide,
                                tile,
                                inputs,
                                x,
                                xAt,
                                k,
                                yAt,
                                c > 0);
                    case BF16 -> bf16Tile(m, first + c * LANES, wide, tile, inputs, x, xAt, yAt, c > 0);
                    case INT8 -> int8Tile(m, first + c / 2 * LANES, tile, inputs, x, xAt, yAt, c > 0);
                }
            }
        }
    }

    private void floatTile(
            float[] w,
            int at,
            int size,
            int wide,
            int tile,
            int inputs,
            float[] x,
            int xAt,
            int k,
            int yAt,
            boolean add) {
        if (wide == 2) {
            switch (tile) {
                case 4 -> GemmF32.rows4panels2(w, at, size, inputs, x, xAt, k, sums, yAt, add);
                case 2 -> GemmF32.rows2panels2(w, at, size, inputs, x, xAt, k, sums, yAt, add);
                default -> GemmF32.rows1panels2(w, at, size, inputs, x, xAt, sums, yAt, add);
            }
        } else {
            switch (tile) {
                case 4 -> GemmF32.rows4panels1(w, at, inputs, x, xAt, k, sums, yAt, add);
                case 2 -> GemmF32.rows2panels1(w, at, inputs, x, xAt, k, sums, yAt, add);
                default -> GemmF32.rows1panels1(w, at, inputs, x, xAt, sums, yAt, add);
            }
        }
    }

    private void bf16Tile(
            PackedMatrix m, int at, int wide, int tile, int inputs, float[] x, int xAt, int yAt, boolean add) {
        int[] w = m.ints();
        int k = m.k();
        int size = m.panelSize();
        if (wide == 2) {
            switch (tile) {
                case 4 -> GemmBf16.rows4panels2(w, at, size, inputs, x, xAt, k, sums, yAt, add);
                case 2 -> GemmBf16.rows2panels2(w, at, size, inputs, x, xAt, k, sums, yAt, add);
                default -> GemmBf16.rows1panels2(w, at, size, inputs, x, xAt, sums, yAt, add);
            }
        } else {
            switch (tile) {
                case 4 -> GemmBf16.rows4panels1(w, at, inputs, x, xAt, k, sums, yAt, add);
                case 2 -> GemmBf16.rows2panels1(w, at, inputs, x, xAt, k, sums, yAt, add);
                default -> GemmBf16.rows1panels1(w, at, inputs, x, xAt, sums, yAt, add);
            }
        }
    }

    private void int8Tile(PackedMatrix m, int at, int tile, int inputs, float[] x, int xAt, int yAt, boolean add) {
        int[] w = m.ints();
        switch (tile) {
            case 4 -> GemmInt8.rows4panels1(w, at, inputs, x, xAt, m.k(), sums, yAt, add);
            case 2 -> GemmInt8.rows2panels1(w, at, inputs, x, xAt, m.k(), sums, yAt, add);
            default -> GemmInt8.rows1panels1(w, at, inputs, x, xAt, sums, yAt, add);
        }
    }

    /** Scales (INT8), adds bias and old value, and drops the padding of the last panel. */
    private void store(
            PackedMatrix m, float @Nullable [] bias, float[] y, int row, int count, int panel, int wide, boolean add) {
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
