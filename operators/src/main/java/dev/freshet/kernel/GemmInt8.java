package dev.freshet.kernel;

import static dev.freshet.kernel.PackedMatrix.PANEL;
import static dev.freshet.kernel.VectorMath.FLOATS;
import static dev.freshet.kernel.VectorMath.INTS;
import static dev.freshet.kernel.VectorMath.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * y = W x over panels of {@link PackedMatrix} in INT8. One accumulator chain for each output, inputs in ascending order, for every
 * number of rows: docs/maths.md §1.1. Guard and tails are the caller's; a panel is always whole.
 */
final class GemmInt8 {

    private GemmInt8() {}

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
        int even = k & ~1;
        for (int c = 0; c < even; c += 2) {
            int i = c / 2 * LANES;
            IntVector quad = IntVector.fromArray(INTS, w, at + i);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            FloatVector a10 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            FloatVector a20 = FloatVector.broadcast(FLOATS, x[x2 + c]);
            FloatVector a30 = FloatVector.broadcast(FLOATS, x[x3 + c]);
            FloatVector b00 = byteLane(quad, 24);
            FloatVector b01 = byteLane(quad, 16);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            s10 = a10.fma(b00, s10);
            s11 = a10.fma(b01, s11);
            s20 = a20.fma(b00, s20);
            s21 = a20.fma(b01, s21);
            s30 = a30.fma(b00, s30);
            s31 = a30.fma(b01, s31);
            FloatVector a01 = FloatVector.broadcast(FLOATS, x[xAt + c + 1]);
            FloatVector a11 = FloatVector.broadcast(FLOATS, x[x1 + c + 1]);
            FloatVector a21 = FloatVector.broadcast(FLOATS, x[x2 + c + 1]);
            FloatVector a31 = FloatVector.broadcast(FLOATS, x[x3 + c + 1]);
            FloatVector b10 = byteLane(quad, 8);
            FloatVector b11 = byteLane(quad, 0);
            s00 = a01.fma(b10, s00);
            s01 = a01.fma(b11, s01);
            s10 = a11.fma(b10, s10);
            s11 = a11.fma(b11, s11);
            s20 = a21.fma(b10, s20);
            s21 = a21.fma(b11, s21);
            s30 = a31.fma(b10, s30);
            s31 = a31.fma(b11, s31);
        }
        if (even < k) {
            int c = even;
            int i = c / 2 * LANES;
            IntVector quad = IntVector.fromArray(INTS, w, at + i);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            FloatVector a10 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            FloatVector a20 = FloatVector.broadcast(FLOATS, x[x2 + c]);
            FloatVector a30 = FloatVector.broadcast(FLOATS, x[x3 + c]);
            FloatVector b00 = byteLane(quad, 24);
            FloatVector b01 = byteLane(quad, 16);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            s10 = a10.fma(b00, s10);
            s11 = a10.fma(b01, s11);
            s20 = a20.fma(b00, s20);
            s21 = a20.fma(b01, s21);
            s30 = a30.fma(b00, s30);
            s31 = a30.fma(b01, s31);
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
        int even = k & ~1;
        for (int c = 0; c < even; c += 2) {
            int i = c / 2 * LANES;
            IntVector quad = IntVector.fromArray(INTS, w, at + i);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            FloatVector a10 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            FloatVector b00 = byteLane(quad, 24);
            FloatVector b01 = byteLane(quad, 16);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            s10 = a10.fma(b00, s10);
            s11 = a10.fma(b01, s11);
            FloatVector a01 = FloatVector.broadcast(FLOATS, x[xAt + c + 1]);
            FloatVector a11 = FloatVector.broadcast(FLOATS, x[x1 + c + 1]);
            FloatVector b10 = byteLane(quad, 8);
            FloatVector b11 = byteLane(quad, 0);
            s00 = a01.fma(b10, s00);
            s01 = a01.fma(b11, s01);
            s10 = a11.fma(b10, s10);
            s11 = a11.fma(b11, s11);
        }
        if (even < k) {
            int c = even;
            int i = c / 2 * LANES;
            IntVector quad = IntVector.fromArray(INTS, w, at + i);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            FloatVector a10 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            FloatVector b00 = byteLane(quad, 24);
            FloatVector b01 = byteLane(quad, 16);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            s10 = a10.fma(b00, s10);
            s11 = a10.fma(b01, s11);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s10.intoArray(y, yAt + yStride);
        s11.intoArray(y, yAt + yStride + LANES);
    }

    /** One row, four panels: eight accumulators hide the latency of the chain. */
    static void row1panels4(int[] w, int at, int k, float[] x, int xAt, float[] y, int yAt) {
        int size = (k + 1) / 2 * LANES;
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
        int even = k & ~1;
        for (int c = 0; c < even; c += 2) {
            int i = c / 2 * LANES;
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            FloatVector a1 = FloatVector.broadcast(FLOATS, x[xAt + c + 1]);
            IntVector quad0 = IntVector.fromArray(INTS, w, at + i);
            s00 = a0.fma(byteLane(quad0, 24), s00);
            s01 = a0.fma(byteLane(quad0, 16), s01);
            s00 = a1.fma(byteLane(quad0, 8), s00);
            s01 = a1.fma(byteLane(quad0, 0), s01);
            IntVector quad1 = IntVector.fromArray(INTS, w, w1 + i);
            s02 = a0.fma(byteLane(quad1, 24), s02);
            s03 = a0.fma(byteLane(quad1, 16), s03);
            s02 = a1.fma(byteLane(quad1, 8), s02);
            s03 = a1.fma(byteLane(quad1, 0), s03);
            IntVector quad2 = IntVector.fromArray(INTS, w, w2 + i);
            s04 = a0.fma(byteLane(quad2, 24), s04);
            s05 = a0.fma(byteLane(quad2, 16), s05);
            s04 = a1.fma(byteLane(quad2, 8), s04);
            s05 = a1.fma(byteLane(quad2, 0), s05);
            IntVector quad3 = IntVector.fromArray(INTS, w, w3 + i);
            s06 = a0.fma(byteLane(quad3, 24), s06);
            s07 = a0.fma(byteLane(quad3, 16), s07);
            s06 = a1.fma(byteLane(quad3, 8), s06);
            s07 = a1.fma(byteLane(quad3, 0), s07);
        }
        if (even < k) {
            int c = even;
            int i = c / 2 * LANES;
            FloatVector a0 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            IntVector quad0 = IntVector.fromArray(INTS, w, at + i);
            s00 = a0.fma(byteLane(quad0, 24), s00);
            s01 = a0.fma(byteLane(quad0, 16), s01);
            IntVector quad1 = IntVector.fromArray(INTS, w, w1 + i);
            s02 = a0.fma(byteLane(quad1, 24), s02);
            s03 = a0.fma(byteLane(quad1, 16), s03);
            IntVector quad2 = IntVector.fromArray(INTS, w, w2 + i);
            s04 = a0.fma(byteLane(quad2, 24), s04);
            s05 = a0.fma(byteLane(quad2, 16), s05);
            IntVector quad3 = IntVector.fromArray(INTS, w, w3 + i);
            s06 = a0.fma(byteLane(quad3, 24), s06);
            s07 = a0.fma(byteLane(quad3, 16), s07);
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
        int even = k & ~1;
        for (int c = 0; c < even; c += 2) {
            int i = c / 2 * LANES;
            IntVector quad = IntVector.fromArray(INTS, w, at + i);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            FloatVector b00 = byteLane(quad, 24);
            FloatVector b01 = byteLane(quad, 16);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            FloatVector a01 = FloatVector.broadcast(FLOATS, x[xAt + c + 1]);
            FloatVector b10 = byteLane(quad, 8);
            FloatVector b11 = byteLane(quad, 0);
            s00 = a01.fma(b10, s00);
            s01 = a01.fma(b11, s01);
        }
        if (even < k) {
            int c = even;
            int i = c / 2 * LANES;
            IntVector quad = IntVector.fromArray(INTS, w, at + i);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            FloatVector b00 = byteLane(quad, 24);
            FloatVector b01 = byteLane(quad, 16);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
    }

    /** The byte that lies left shifts below the top, as floats. */
    private static FloatVector byteLane(IntVector quad, int left) {
        IntVector top = left == 0 ? quad : quad.lanewise(VectorOperators.LSHL, left);
        return (FloatVector) top.lanewise(VectorOperators.ASHR, 24).convert(VectorOperators.I2F, 0);
    }
}
