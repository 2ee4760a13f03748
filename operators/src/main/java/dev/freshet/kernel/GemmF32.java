package dev.freshet.kernel;

import static dev.freshet.kernel.PackedMatrix.PANEL;
import static dev.freshet.kernel.VectorMath.FLOATS;
import static dev.freshet.kernel.VectorMath.LANES;

import jdk.incubator.vector.FloatVector;

/**
 * y = W x over panels of {@link PackedMatrix} in F32. One accumulator chain for each output, inputs in ascending order, for every
 * number of rows: docs/maths.md §1.1. A panel is always whole; size is the distance between panels, k the inputs of this call. With
 * add the chains go on from y, so that a product may be done in blocks of inputs without changing a bit. y holds the rows one after
 * another, the panels of a row side by side.
 */
final class GemmF32 {

    private GemmF32() {}

    /** Four rows, two panels: sixteen accumulators. */
    static void rows4panels2(
            float[] w, int at, int size, int k, float[] x, int xAt, int xStride, float[] y, int yAt, boolean add) {
        int w1 = at + size;
        int x1 = xAt + xStride;
        int x2 = x1 + xStride;
        int x3 = x2 + xStride;
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        FloatVector s02 = start(y, yAt + PANEL, add);
        FloatVector s03 = start(y, yAt + PANEL + LANES, add);
        FloatVector s10 = start(y, yAt + 2 * PANEL, add);
        FloatVector s11 = start(y, yAt + 2 * PANEL + LANES, add);
        FloatVector s12 = start(y, yAt + 2 * PANEL + PANEL, add);
        FloatVector s13 = start(y, yAt + 2 * PANEL + PANEL + LANES, add);
        FloatVector s20 = start(y, yAt + 4 * PANEL, add);
        FloatVector s21 = start(y, yAt + 4 * PANEL + LANES, add);
        FloatVector s22 = start(y, yAt + 4 * PANEL + PANEL, add);
        FloatVector s23 = start(y, yAt + 4 * PANEL + PANEL + LANES, add);
        FloatVector s30 = start(y, yAt + 6 * PANEL, add);
        FloatVector s31 = start(y, yAt + 6 * PANEL + LANES, add);
        FloatVector s32 = start(y, yAt + 6 * PANEL + PANEL, add);
        FloatVector s33 = start(y, yAt + 6 * PANEL + PANEL + LANES, add);
        for (int c = 0; c < k; c++) {
            int i = c * PANEL;
            FloatVector b0 = FloatVector.fromArray(FLOATS, w, at + i);
            FloatVector b1 = FloatVector.fromArray(FLOATS, w, at + i + LANES);
            FloatVector b2 = FloatVector.fromArray(FLOATS, w, w1 + i);
            FloatVector b3 = FloatVector.fromArray(FLOATS, w, w1 + i + LANES);
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(b0, s00);
            s01 = a0.fma(b1, s01);
            s02 = a0.fma(b2, s02);
            s03 = a0.fma(b3, s03);
            FloatVector a1 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            s10 = a1.fma(b0, s10);
            s11 = a1.fma(b1, s11);
            s12 = a1.fma(b2, s12);
            s13 = a1.fma(b3, s13);
            FloatVector a2 = FloatVector.broadcast(FLOATS, x[x2 + c]);
            s20 = a2.fma(b0, s20);
            s21 = a2.fma(b1, s21);
            s22 = a2.fma(b2, s22);
            s23 = a2.fma(b3, s23);
            FloatVector a3 = FloatVector.broadcast(FLOATS, x[x3 + c]);
            s30 = a3.fma(b0, s30);
            s31 = a3.fma(b1, s31);
            s32 = a3.fma(b2, s32);
            s33 = a3.fma(b3, s33);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s02.intoArray(y, yAt + PANEL);
        s03.intoArray(y, yAt + PANEL + LANES);
        s10.intoArray(y, yAt + 2 * PANEL);
        s11.intoArray(y, yAt + 2 * PANEL + LANES);
        s12.intoArray(y, yAt + 2 * PANEL + PANEL);
        s13.intoArray(y, yAt + 2 * PANEL + PANEL + LANES);
        s20.intoArray(y, yAt + 4 * PANEL);
        s21.intoArray(y, yAt + 4 * PANEL + LANES);
        s22.intoArray(y, yAt + 4 * PANEL + PANEL);
        s23.intoArray(y, yAt + 4 * PANEL + PANEL + LANES);
        s30.intoArray(y, yAt + 6 * PANEL);
        s31.intoArray(y, yAt + 6 * PANEL + LANES);
        s32.intoArray(y, yAt + 6 * PANEL + PANEL);
        s33.intoArray(y, yAt + 6 * PANEL + PANEL + LANES);
    }

    /** Two rows, two panels: eight accumulators. */
    static void rows2panels2(
            float[] w, int at, int size, int k, float[] x, int xAt, int xStride, float[] y, int yAt, boolean add) {
        int w1 = at + size;
        int x1 = xAt + xStride;
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        FloatVector s02 = start(y, yAt + PANEL, add);
        FloatVector s03 = start(y, yAt + PANEL + LANES, add);
        FloatVector s10 = start(y, yAt + 2 * PANEL, add);
        FloatVector s11 = start(y, yAt + 2 * PANEL + LANES, add);
        FloatVector s12 = start(y, yAt + 2 * PANEL + PANEL, add);
        FloatVector s13 = start(y, yAt + 2 * PANEL + PANEL + LANES, add);
        for (int c = 0; c < k; c++) {
            int i = c * PANEL;
            FloatVector b0 = FloatVector.fromArray(FLOATS, w, at + i);
            FloatVector b1 = FloatVector.fromArray(FLOATS, w, at + i + LANES);
            FloatVector b2 = FloatVector.fromArray(FLOATS, w, w1 + i);
            FloatVector b3 = FloatVector.fromArray(FLOATS, w, w1 + i + LANES);
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(b0, s00);
            s01 = a0.fma(b1, s01);
            s02 = a0.fma(b2, s02);
            s03 = a0.fma(b3, s03);
            FloatVector a1 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            s10 = a1.fma(b0, s10);
            s11 = a1.fma(b1, s11);
            s12 = a1.fma(b2, s12);
            s13 = a1.fma(b3, s13);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s02.intoArray(y, yAt + PANEL);
        s03.intoArray(y, yAt + PANEL + LANES);
        s10.intoArray(y, yAt + 2 * PANEL);
        s11.intoArray(y, yAt + 2 * PANEL + LANES);
        s12.intoArray(y, yAt + 2 * PANEL + PANEL);
        s13.intoArray(y, yAt + 2 * PANEL + PANEL + LANES);
    }

    /** One row, two panels: four accumulators. */
    static void rows1panels2(float[] w, int at, int size, int k, float[] x, int xAt, float[] y, int yAt, boolean add) {
        int w1 = at + size;
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        FloatVector s02 = start(y, yAt + PANEL, add);
        FloatVector s03 = start(y, yAt + PANEL + LANES, add);
        for (int c = 0; c < k; c++) {
            int i = c * PANEL;
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(FloatVector.fromArray(FLOATS, w, at + i), s00);
            s01 = a0.fma(FloatVector.fromArray(FLOATS, w, at + i + LANES), s01);
            s02 = a0.fma(FloatVector.fromArray(FLOATS, w, w1 + i), s02);
            s03 = a0.fma(FloatVector.fromArray(FLOATS, w, w1 + i + LANES), s03);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s02.intoArray(y, yAt + PANEL);
        s03.intoArray(y, yAt + PANEL + LANES);
    }

    /** Four rows, one panel: eight accumulators. */
    static void rows4panels1(
            float[] w, int at, int k, float[] x, int xAt, int xStride, float[] y, int yAt, boolean add) {
        int x1 = xAt + xStride;
        int x2 = x1 + xStride;
        int x3 = x2 + xStride;
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        FloatVector s10 = start(y, yAt + PANEL, add);
        FloatVector s11 = start(y, yAt + PANEL + LANES, add);
        FloatVector s20 = start(y, yAt + 2 * PANEL, add);
        FloatVector s21 = start(y, yAt + 2 * PANEL + LANES, add);
        FloatVector s30 = start(y, yAt + 3 * PANEL, add);
        FloatVector s31 = start(y, yAt + 3 * PANEL + LANES, add);
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
        s10.intoArray(y, yAt + PANEL);
        s11.intoArray(y, yAt + PANEL + LANES);
        s20.intoArray(y, yAt + 2 * PANEL);
        s21.intoArray(y, yAt + 2 * PANEL + LANES);
        s30.intoArray(y, yAt + 3 * PANEL);
        s31.intoArray(y, yAt + 3 * PANEL + LANES);
    }

    /** Two rows, one panel: four accumulators. */
    static void rows2panels1(
            float[] w, int at, int k, float[] x, int xAt, int xStride, float[] y, int yAt, boolean add) {
        int x1 = xAt + xStride;
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        FloatVector s10 = start(y, yAt + PANEL, add);
        FloatVector s11 = start(y, yAt + PANEL + LANES, add);
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
        s10.intoArray(y, yAt + PANEL);
        s11.intoArray(y, yAt + PANEL + LANES);
    }

    /** One row, one panel: two accumulators. */
    static void rows1panels1(float[] w, int at, int k, float[] x, int xAt, float[] y, int yAt, boolean add) {
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        for (int c = 0; c < k; c++) {
            int i = at + c * PANEL;
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(FloatVector.fromArray(FLOATS, w, i), s00);
            s01 = a0.fma(FloatVector.fromArray(FLOATS, w, i + LANES), s01);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
    }

    /** One row, four panels: eight accumulators. */
    static void rows1panels4(float[] w, int at, int size, int k, float[] x, int xAt, float[] y, int yAt, boolean add) {
        int w1 = at + size;
        int w2 = w1 + size;
        int w3 = w2 + size;
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        FloatVector s02 = start(y, yAt + PANEL, add);
        FloatVector s03 = start(y, yAt + PANEL + LANES, add);
        FloatVector s04 = start(y, yAt + 2 * PANEL, add);
        FloatVector s05 = start(y, yAt + 2 * PANEL + LANES, add);
        FloatVector s06 = start(y, yAt + 3 * PANEL, add);
        FloatVector s07 = start(y, yAt + 3 * PANEL + LANES, add);
        for (int c = 0; c < k; c++) {
            int i = c * PANEL;
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(FloatVector.fromArray(FLOATS, w, at + i), s00);
            s01 = a0.fma(FloatVector.fromArray(FLOATS, w, at + i + LANES), s01);
            s02 = a0.fma(FloatVector.fromArray(FLOATS, w, w1 + i), s02);
            s03 = a0.fma(FloatVector.fromArray(FLOATS, w, w1 + i + LANES), s03);
            s04 = a0.fma(FloatVector.fromArray(FLOATS, w, w2 + i), s04);
            s05 = a0.fma(FloatVector.fromArray(FLOATS, w, w2 + i + LANES), s05);
            s06 = a0.fma(FloatVector.fromArray(FLOATS, w, w3 + i), s06);
            s07 = a0.fma(FloatVector.fromArray(FLOATS, w, w3 + i + LANES), s07);
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

    private static FloatVector start(float[] y, int at, boolean add) {
        return add ? FloatVector.fromArray(FLOATS, y, at) : FloatVector.zero(FLOATS);
    }
}
