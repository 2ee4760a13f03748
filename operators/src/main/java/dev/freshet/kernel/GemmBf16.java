package dev.freshet.kernel;

import static dev.freshet.kernel.PackedMatrix.PANEL;
import static dev.freshet.kernel.VectorMath.FLOATS;
import static dev.freshet.kernel.VectorMath.INTS;
import static dev.freshet.kernel.VectorMath.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * y = W x over panels of {@link PackedMatrix} in BF16. One accumulator chain for each output, inputs in ascending order, for every
 * number of rows: docs/maths.md §1.1. Guard and tails are the caller's; a panel is always whole.
 */
final class GemmBf16 {

    private GemmBf16() {}

    /** Four rows, one panel: eight accumulators. */
    static void rows4(int[] w, int at, int k, float[] x, int xAt, int xStride, float[] y, int yAt, int yStride) {
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
            int i = at + c * LANES;
            IntVector pair = IntVector.fromArray(INTS, w, i);
            FloatVector b0 = low(pair);
            FloatVector b1 = high(pair);
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
    static void rows2(int[] w, int at, int k, float[] x, int xAt, int xStride, float[] y, int yAt, int yStride) {
        int x1 = xAt + xStride;
        FloatVector s00 = FloatVector.zero(FLOATS);
        FloatVector s01 = FloatVector.zero(FLOATS);
        FloatVector s10 = FloatVector.zero(FLOATS);
        FloatVector s11 = FloatVector.zero(FLOATS);
        for (int c = 0; c < k; c++) {
            int i = at + c * LANES;
            IntVector pair = IntVector.fromArray(INTS, w, i);
            FloatVector b0 = low(pair);
            FloatVector b1 = high(pair);
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
    static void row1panels4(int[] w, int at, int k, float[] x, int xAt, float[] y, int yAt) {
        int size = k * LANES;
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
            int i = c * LANES;
            FloatVector a = FloatVector.broadcast(FLOATS, x[xAt + c]);
            IntVector pair0 = IntVector.fromArray(INTS, w, at + i);
            s00 = a.fma(low(pair0), s00);
            s01 = a.fma(high(pair0), s01);
            IntVector pair1 = IntVector.fromArray(INTS, w, w1 + i);
            s02 = a.fma(low(pair1), s02);
            s03 = a.fma(high(pair1), s03);
            IntVector pair2 = IntVector.fromArray(INTS, w, w2 + i);
            s04 = a.fma(low(pair2), s04);
            s05 = a.fma(high(pair2), s05);
            IntVector pair3 = IntVector.fromArray(INTS, w, w3 + i);
            s06 = a.fma(low(pair3), s06);
            s07 = a.fma(high(pair3), s07);
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
    static void row1(int[] w, int at, int k, float[] x, int xAt, float[] y, int yAt) {
        FloatVector s00 = FloatVector.zero(FLOATS);
        FloatVector s01 = FloatVector.zero(FLOATS);
        for (int c = 0; c < k; c++) {
            int i = at + c * LANES;
            IntVector pair = IntVector.fromArray(INTS, w, i);
            FloatVector b0 = low(pair);
            FloatVector b1 = high(pair);
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a0.fma(b0, s00);
            s01 = a0.fma(b1, s01);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
    }

    private static FloatVector low(IntVector pair) {
        return pair.lanewise(VectorOperators.LSHL, 16).viewAsFloatingLanes();
    }

    private static FloatVector high(IntVector pair) {
        return pair.and(0xffff0000).viewAsFloatingLanes();
    }
}
