package dev.freshet.kernel;

import static dev.freshet.kernel.PackedMatrix.PANEL;
import static dev.freshet.kernel.VectorMath.FLOATS;
import static dev.freshet.kernel.VectorMath.LANES;

import jdk.incubator.vector.FloatVector;

/**
 * y = W x over panels of {@link PackedMatrix} in F32. One accumulator chain for each output, inputs in ascending order, for every
 * number of rows: docs/maths.md §1.1. Guard and tails are the caller's; a panel is always whole.
 */
final class GemmF32 {

    private GemmF32() {}

    /** Four rows, one panel: eight accumulators. */
    static void rows4(float[] w, int at, int k, float[] x, int xAt, int xStride, float[] y, int yAt, int yStride) {
        int x1 = xAt + xStride;
        int x2 = x1 + xStride;
        int x3 = x2 + xStride;
        FloatVector s00 = FloatVector.zero(FLOATS);
        FloatVector s01 = FloatVector.zero(FLOATS);
        FloatVector s10 = FloatVector.zero(FLOATS);
        FloatVector s11 = FloatVector.zero(FLOATS);
        FloatVector s20 = FloatVector.zero(FLOATS);
        FloatVector s21 = FloatVector.zero(FLOATS);
        FloatVector s30 = FloatVector.zero(FLOATS);
        FloatVector s31 = FloatVector.zero(FLOATS);
        for (int c = 0; c < k; c++) {
            int i = at + c * PANEL;
            FloatVector b0 = FloatVector.fromArray(FLOATS, w, i);
            FloatVector b1 = FloatVector.fromArray(FLOATS, w, i + LANES);
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(b0, s00);
            s01 = a0.fma(b1, s01);
            FloatVector a1 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            s10 = a1.fma(b0, s10);
            s11 = a1.fma(b1, s11);
            FloatVector a2 = FloatVector.broadcast(FLOATS, x[x2 + c]);
            s20 = a2.fma(b0, s20);
            s21 = a2.fma(b1, s21);
            FloatVector a3 = FloatVector.broadcast(FLOATS, x[x3 + c]);
            s30 = a3.fma(b0, s30);
            s31 = a3.fma(b1, s31);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s10.intoArray(y, yAt + yStride);
        s11.intoArray(y, yAt + yStride + LANES);
        s20.intoArray(y, yAt + 2 * yStride);
        s21.intoArray(y, yAt + 2 * yStride + LANES);
        s30.intoArray(y, yAt + 3 * yStride);
        s31.intoArray(y, yAt + 3 * yStride + LANES);
    }

    /** Two rows, one panel. */
    static void rows2(float[] w, int at, int k, float[] x, int xAt, int xStride, float[] y, int yAt, int yStride) {
        int x1 = xAt + xStride;
        FloatVector s00 = FloatVector.zero(FLOATS);
        FloatVector s01 = FloatVector.zero(FLOATS);
        FloatVector s10 = FloatVector.zero(FLOATS);
        FloatVector s11 = FloatVector.zero(FLOATS);
        for (int c = 0; c < k; c++) {
            int i = at + c * PANEL;
            FloatVector b0 = FloatVector.fromArray(FLOATS, w, i);
            FloatVector b1 = FloatVector.fromArray(FLOATS, w, i + LANES);
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(b0, s00);
            s01 = a0.fma(b1, s01);
            FloatVector a1 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            s10 = a1.fma(b0, s10);
            s11 = a1.fma(b1, s11);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s10.intoArray(y, yAt + yStride);
        s11.intoArray(y, yAt + yStride + LANES);
    }

    /** One row, four panels: eight accumulators hide the latency of the chain. */
    static void row1panels4(float[] w, int at, int k, float[] x, int xAt, float[] y, int yAt) {
        int size = k * PANEL;
        int w1 = at + size;
        int w2 = w1 + size;
        int w3 = w2 + size;
        FloatVector s00 = FloatVector.zero(FLOATS);
        FloatVector s01 = FloatVector.zero(FLOATS);
        FloatVector s02 = FloatVector.zero(FLOATS);
        FloatVector s03 = FloatVector.zero(FLOATS);
        FloatVector s04 = FloatVector.zero(FLOATS);
        FloatVector s05 = FloatVector.zero(FLOATS);
        FloatVector s06 = FloatVector.zero(FLOATS);
        FloatVector s07 = FloatVector.zero(FLOATS);
        for (int c = 0; c < k; c++) {
            int i = c * PANEL;
            FloatVector a = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a.fma(FloatVector.fromArray(FLOATS, w, at + i), s00);
            s01 = a.fma(FloatVector.fromArray(FLOATS, w, at + i + LANES), s01);
            s02 = a.fma(FloatVector.fromArray(FLOATS, w, w1 + i), s02);
            s03 = a.fma(FloatVector.fromArray(FLOATS, w, w1 + i + LANES), s03);
            s04 = a.fma(FloatVector.fromArray(FLOATS, w, w2 + i), s04);
            s05 = a.fma(FloatVector.fromArray(FLOATS, w, w2 + i + LANES), s05);
            s06 = a.fma(FloatVector.fromArray(FLOATS, w, w3 + i), s06);
            s07 = a.fma(FloatVector.fromArray(FLOATS, w, w3 + i + LANES), s07);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s02.intoArray(y, yAt + PANEL);
        s03.intoArray(y, yAt + PANEL + LANES);
        s04.intoArray(y, yAt + 2 * PANEL);
        s05.intoArray(y, yAt + 2 * PANEL + LANES);
        s06.intoArray(y, yAt + 3 * PANEL);
        s07.intoArray(y, yAt + 3 * PANEL + LANES);
    }

    /** One row, one panel. */
    static void row1(float[] w, int at, int k, float[] x, int xAt, float[] y, int yAt) {
        FloatVector s00 = FloatVector.zero(FLOATS);
        FloatVector s01 = FloatVector.zero(FLOATS);
        for (int c = 0; c < k; c++) {
            int i = at + c * PANEL;
            FloatVector b0 = FloatVector.fromArray(FLOATS, w, i);
            FloatVector b1 = FloatVector.fromArray(FLOATS, w, i + LANES);
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(b0, s00);
            s01 = a0.fma(b1, s01);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
    }
}
