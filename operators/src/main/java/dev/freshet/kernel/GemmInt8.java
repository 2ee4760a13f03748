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
 * number of rows: docs/maths.md §1.1. A panel is always whole; size is the distance between panels, k the inputs of this call. With
 * add the chains go on from y, so that a product may be done in blocks of inputs without changing a bit. y holds the rows one after
 * another, the panels of a row side by side.
 *
 * <p>A weight is not shifted down: it stays in the top byte of its lane and enters as its value times 2^24, which is exact, and
 * {@link PackedGemm} takes the factor out again with the scale. Kernels with more conversions than these exceed what the JIT
 * compiler inlines into one method and run twenty times slower.
 */
final class GemmInt8 {

    /** What a weight is multiplied by inside the kernels. */
    static final float LIFT = 0x1p24f;

    private static final int TOP = 0xff000000;

    private GemmInt8() {}

    /** Four rows, one panel: eight accumulators. */
    static void rows4panels1(int[] w, int at, int k, float[] x, int xAt, int xStride, float[] y, int yAt, boolean add) {
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
        int even = k & ~1;
        for (int c = 0; c < even; c += 2) {
            int i = c / 2 * LANES;
            IntVector quad0 = IntVector.fromArray(INTS, w, at + i);
            FloatVector b00 = byteLane0(quad0);
            FloatVector b01 = byteLane1(quad0);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            FloatVector a01 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            s10 = a01.fma(b00, s10);
            s11 = a01.fma(b01, s11);
            FloatVector a02 = FloatVector.broadcast(FLOATS, x[x2 + c]);
            s20 = a02.fma(b00, s20);
            s21 = a02.fma(b01, s21);
            FloatVector a03 = FloatVector.broadcast(FLOATS, x[x3 + c]);
            s30 = a03.fma(b00, s30);
            s31 = a03.fma(b01, s31);
            FloatVector b10 = byteLane2(quad0);
            FloatVector b11 = byteLane3(quad0);
            FloatVector a10 = FloatVector.broadcast(FLOATS, x[xAt + c + 1]);
            s00 = a10.fma(b10, s00);
            s01 = a10.fma(b11, s01);
            FloatVector a11 = FloatVector.broadcast(FLOATS, x[x1 + c + 1]);
            s10 = a11.fma(b10, s10);
            s11 = a11.fma(b11, s11);
            FloatVector a12 = FloatVector.broadcast(FLOATS, x[x2 + c + 1]);
            s20 = a12.fma(b10, s20);
            s21 = a12.fma(b11, s21);
            FloatVector a13 = FloatVector.broadcast(FLOATS, x[x3 + c + 1]);
            s30 = a13.fma(b10, s30);
            s31 = a13.fma(b11, s31);
        }
        if (even < k) {
            IntVector quad0 = IntVector.fromArray(INTS, w, at + even / 2 * LANES);
            FloatVector b00 = byteLane0(quad0);
            FloatVector b01 = byteLane1(quad0);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + even]);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            FloatVector a01 = FloatVector.broadcast(FLOATS, x[x1 + even]);
            s10 = a01.fma(b00, s10);
            s11 = a01.fma(b01, s11);
            FloatVector a02 = FloatVector.broadcast(FLOATS, x[x2 + even]);
            s20 = a02.fma(b00, s20);
            s21 = a02.fma(b01, s21);
            FloatVector a03 = FloatVector.broadcast(FLOATS, x[x3 + even]);
            s30 = a03.fma(b00, s30);
            s31 = a03.fma(b01, s31);
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
    static void rows2panels1(int[] w, int at, int k, float[] x, int xAt, int xStride, float[] y, int yAt, boolean add) {
        int x1 = xAt + xStride;
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        FloatVector s10 = start(y, yAt + PANEL, add);
        FloatVector s11 = start(y, yAt + PANEL + LANES, add);
        int even = k & ~1;
        for (int c = 0; c < even; c += 2) {
            int i = c / 2 * LANES;
            IntVector quad0 = IntVector.fromArray(INTS, w, at + i);
            FloatVector b00 = byteLane0(quad0);
            FloatVector b01 = byteLane1(quad0);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            FloatVector a01 = FloatVector.broadcast(FLOATS, x[x1 + c]);
            s10 = a01.fma(b00, s10);
            s11 = a01.fma(b01, s11);
            FloatVector b10 = byteLane2(quad0);
            FloatVector b11 = byteLane3(quad0);
            FloatVector a10 = FloatVector.broadcast(FLOATS, x[xAt + c + 1]);
            s00 = a10.fma(b10, s00);
            s01 = a10.fma(b11, s01);
            FloatVector a11 = FloatVector.broadcast(FLOATS, x[x1 + c + 1]);
            s10 = a11.fma(b10, s10);
            s11 = a11.fma(b11, s11);
        }
        if (even < k) {
            IntVector quad0 = IntVector.fromArray(INTS, w, at + even / 2 * LANES);
            FloatVector b00 = byteLane0(quad0);
            FloatVector b01 = byteLane1(quad0);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + even]);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            FloatVector a01 = FloatVector.broadcast(FLOATS, x[x1 + even]);
            s10 = a01.fma(b00, s10);
            s11 = a01.fma(b01, s11);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s10.intoArray(y, yAt + PANEL);
        s11.intoArray(y, yAt + PANEL + LANES);
    }

    /** One row, one panel: two accumulators. */
    static void rows1panels1(int[] w, int at, int k, float[] x, int xAt, float[] y, int yAt, boolean add) {
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        int even = k & ~1;
        for (int c = 0; c < even; c += 2) {
            int i = c / 2 * LANES;
            IntVector quad0 = IntVector.fromArray(INTS, w, at + i);
            FloatVector b00 = byteLane0(quad0);
            FloatVector b01 = byteLane1(quad0);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            FloatVector b10 = byteLane2(quad0);
            FloatVector b11 = byteLane3(quad0);
            FloatVector a10 = FloatVector.broadcast(FLOATS, x[xAt + c + 1]);
            s00 = a10.fma(b10, s00);
            s01 = a10.fma(b11, s01);
        }
        if (even < k) {
            IntVector quad0 = IntVector.fromArray(INTS, w, at + even / 2 * LANES);
            FloatVector b00 = byteLane0(quad0);
            FloatVector b01 = byteLane1(quad0);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + even]);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
    }

    /** One row, two panels: four accumulators. */
    static void rows1panels2(int[] w, int at, int size, int k, float[] x, int xAt, float[] y, int yAt, boolean add) {
        int w1 = at + size;
        FloatVector s00 = start(y, yAt, add);
        FloatVector s01 = start(y, yAt + LANES, add);
        FloatVector s02 = start(y, yAt + PANEL, add);
        FloatVector s03 = start(y, yAt + PANEL + LANES, add);
        int even = k & ~1;
        for (int c = 0; c < even; c += 2) {
            int i = c / 2 * LANES;
            IntVector quad0 = IntVector.fromArray(INTS, w, at + i);
            IntVector quad1 = IntVector.fromArray(INTS, w, w1 + i);
            FloatVector b00 = byteLane0(quad0);
            FloatVector b01 = byteLane1(quad0);
            FloatVector b02 = byteLane0(quad1);
            FloatVector b03 = byteLane1(quad1);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + c]);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            s02 = a00.fma(b02, s02);
            s03 = a00.fma(b03, s03);
            FloatVector b10 = byteLane2(quad0);
            FloatVector b11 = byteLane3(quad0);
            FloatVector b12 = byteLane2(quad1);
            FloatVector b13 = byteLane3(quad1);
            FloatVector a10 = FloatVector.broadcast(FLOATS, x[xAt + c + 1]);
            s00 = a10.fma(b10, s00);
            s01 = a10.fma(b11, s01);
            s02 = a10.fma(b12, s02);
            s03 = a10.fma(b13, s03);
        }
        if (even < k) {
            IntVector quad0 = IntVector.fromArray(INTS, w, at + even / 2 * LANES);
            IntVector quad1 = IntVector.fromArray(INTS, w, w1 + even / 2 * LANES);
            FloatVector b00 = byteLane0(quad0);
            FloatVector b01 = byteLane1(quad0);
            FloatVector b02 = byteLane0(quad1);
            FloatVector b03 = byteLane1(quad1);
            FloatVector a00 = FloatVector.broadcast(FLOATS, x[xAt + even]);
            s00 = a00.fma(b00, s00);
            s01 = a00.fma(b01, s01);
            s02 = a00.fma(b02, s02);
            s03 = a00.fma(b03, s03);
        }
        s00.intoArray(y, yAt);
        s01.intoArray(y, yAt + LANES);
        s02.intoArray(y, yAt + PANEL);
        s03.intoArray(y, yAt + PANEL + LANES);
    }

    private static FloatVector start(float[] y, int at, boolean add) {
        return add ? FloatVector.fromArray(FLOATS, y, at) : FloatVector.zero(FLOATS);
    }

    /**
     * Spreads inputs [0, k) of a panel as F32 panels hold them, times 2^24.
     *
     * @param out overwritten from to on, [k, PANEL]
     */
    static void unpack(int[] w, int at, int k, float[] out, int to) {
        for (int c = 0; c < k; c += 2) {
            IntVector quad = IntVector.fromArray(INTS, w, at + c / 2 * LANES);
            int o = to + c * PANEL;
            byteLane0(quad).intoArray(out, o);
            byteLane1(quad).intoArray(out, o + LANES);
            if (c + 1 < k) {
                byteLane2(quad).intoArray(out, o + PANEL);
                byteLane3(quad).intoArray(out, o + PANEL + LANES);
            }
        }
    }

    private static FloatVector byteLane0(IntVector quad) {
        return toFloat(quad.lanewise(VectorOperators.LSHL, 24));
    }

    private static FloatVector byteLane1(IntVector quad) {
        return toFloat(quad.lanewise(VectorOperators.LSHL, 16).and(TOP));
    }

    private static FloatVector byteLane2(IntVector quad) {
        return toFloat(quad.lanewise(VectorOperators.LSHL, 8).and(TOP));
    }

    private static FloatVector byteLane3(IntVector quad) {
        return toFloat(quad.and(TOP));
    }

    private static FloatVector toFloat(IntVector x) {
        return (FloatVector) x.convert(VectorOperators.I2F, 0);
    }
}
