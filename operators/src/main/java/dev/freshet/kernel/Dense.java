package dev.freshet.kernel;

import static dev.freshet.kernel.VectorMath.FLOATS;
import static dev.freshet.kernel.VectorMath.LANES;

import jdk.incubator.vector.FloatVector;

/**
 * Small dense products on row-major arrays. Every element of C is one chain of fused multiply-adds over k in ascending order,
 * whatever the number of rows and columns: register tiles group elements, they never split a sum.
 */
final class Dense {

    private Dense() {}

    /**
     * C = A B, or C += A B.
     *
     * @param a in, [m, k] with row stride aStride
     * @param b in, [k, n] with row stride bStride
     * @param c overwritten or in/out, [m, n] with row stride cStride
     */
    static void gemm(
            float[] a,
            int aAt,
            int aStride,
            float[] b,
            int bAt,
            int bStride,
            float[] c,
            int cAt,
            int cStride,
            int m,
            int k,
            int n,
            boolean add) {
        int i = 0;
        for (; i + 3 < m; i += 4) {
            rows4(a, aAt + i * aStride, aStride, b, bAt, bStride, c, cAt + i * cStride, cStride, k, n, add);
        }
        for (; i < m; i++) {
            row(a, aAt + i * aStride, b, bAt, bStride, c, cAt + i * cStride, k, n, add);
        }
    }

    private static void rows4(
            float[] a,
            int aAt,
            int aStride,
            float[] b,
            int bAt,
            int bStride,
            float[] c,
            int cAt,
            int cStride,
            int k,
            int n,
            boolean add) {
        int j = 0;
        for (; j <= n - 2 * LANES; j += 2 * LANES) {
            tile4x2(a, aAt, aStride, b, bAt + j, bStride, c, cAt + j, cStride, k, add);
        }
        for (; j <= n - LANES; j += LANES) {
            tile4x1(a, aAt, aStride, b, bAt + j, bStride, c, cAt + j, cStride, k, add);
        }
        for (int r = 0; j < n && r < 4; r++) {
            rowFrom(j, a, aAt + r * aStride, b, bAt, bStride, c, cAt + r * cStride, k, n, add);
        }
    }

    private static void tile4x2(
            float[] a,
            int aAt,
            int aStride,
            float[] b,
            int bAt,
            int bStride,
            float[] c,
            int cAt,
            int cStride,
            int k,
            boolean add) {
        int a1 = aAt + aStride;
        int a2 = a1 + aStride;
        int a3 = a2 + aStride;
        int c1 = cAt + cStride;
        int c2 = c1 + cStride;
        int c3 = c2 + cStride;
        FloatVector s00 = start(c, cAt, add);
        FloatVector s01 = start(c, cAt + LANES, add);
        FloatVector s10 = start(c, c1, add);
        FloatVector s11 = start(c, c1 + LANES, add);
        FloatVector s20 = start(c, c2, add);
        FloatVector s21 = start(c, c2 + LANES, add);
        FloatVector s30 = start(c, c3, add);
        FloatVector s31 = start(c, c3 + LANES, add);
        for (int p = 0; p < k; p++) {
            int at = bAt + p * bStride;
            FloatVector b0 = FloatVector.fromArray(FLOATS, b, at);
            FloatVector b1 = FloatVector.fromArray(FLOATS, b, at + LANES);
            FloatVector x = FloatVector.broadcast(FLOATS, a[aAt + p]);
            s00 = x.fma(b0, s00);
            s01 = x.fma(b1, s01);
            x = FloatVector.broadcast(FLOATS, a[a1 + p]);
            s10 = x.fma(b0, s10);
            s11 = x.fma(b1, s11);
            x = FloatVector.broadcast(FLOATS, a[a2 + p]);
            s20 = x.fma(b0, s20);
            s21 = x.fma(b1, s21);
            x = FloatVector.broadcast(FLOATS, a[a3 + p]);
            s30 = x.fma(b0, s30);
            s31 = x.fma(b1, s31);
        }
        s00.intoArray(c, cAt);
        s01.intoArray(c, cAt + LANES);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LANES);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LANES);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LANES);
    }

    private static void tile4x1(
            float[] a,
            int aAt,
            int aStride,
            float[] b,
            int bAt,
            int bStride,
            float[] c,
            int cAt,
            int cStride,
            int k,
            boolean add) {
        int a1 = aAt + aStride;
        int a2 = a1 + aStride;
        int a3 = a2 + aStride;
        int c1 = cAt + cStride;
        int c2 = c1 + cStride;
        int c3 = c2 + cStride;
        FloatVector s0 = start(c, cAt, add);
        FloatVector s1 = start(c, c1, add);
        FloatVector s2 = start(c, c2, add);
        FloatVector s3 = start(c, c3, add);
        for (int p = 0; p < k; p++) {
            FloatVector v = FloatVector.fromArray(FLOATS, b, bAt + p * bStride);
            s0 = FloatVector.broadcast(FLOATS, a[aAt + p]).fma(v, s0);
            s1 = FloatVector.broadcast(FLOATS, a[a1 + p]).fma(v, s1);
            s2 = FloatVector.broadcast(FLOATS, a[a2 + p]).fma(v, s2);
            s3 = FloatVector.broadcast(FLOATS, a[a3 + p]).fma(v, s3);
        }
        s0.intoArray(c, cAt);
        s1.intoArray(c, c1);
        s2.intoArray(c, c2);
        s3.intoArray(c, c3);
    }

    private static FloatVector start(float[] c, int at, boolean add) {
        return add ? FloatVector.fromArray(FLOATS, c, at) : FloatVector.zero(FLOATS);
    }

    private static void row(
            float[] a, int aAt, float[] b, int bAt, int bStride, float[] c, int cAt, int k, int n, boolean add) {
        int j = 0;
        for (; j <= n - 8 * LANES; j += 8 * LANES) {
            tile1x8(a, aAt, b, bAt + j, bStride, c, cAt + j, k, add);
        }
        rowFrom(j, a, aAt, b, bAt, bStride, c, cAt, k, n, add);
    }

    /** One row from column j on: tiles of four vectors, of two, single vectors, scalars. */
    private static void rowFrom(
            int j, float[] a, int aAt, float[] b, int bAt, int bStride, float[] c, int cAt, int k, int n, boolean add) {
        for (; j <= n - 4 * LANES; j += 4 * LANES) {
            tile1x4(a, aAt, b, bAt + j, bStride, c, cAt + j, k, add);
        }
        if (j <= n - 2 * LANES) {
            tile1x2(a, aAt, b, bAt + j, bStride, c, cAt + j, k, add);
            j += 2 * LANES;
        }
        for (; j <= n - LANES; j += LANES) {
            FloatVector s = start(c, cAt + j, add);
            for (int p = 0; p < k; p++) {
                s = FloatVector.broadcast(FLOATS, a[aAt + p])
                        .fma(FloatVector.fromArray(FLOATS, b, bAt + p * bStride + j), s);
            }
            s.intoArray(c, cAt + j);
        }
        for (; j < n; j++) {
            float s = add ? c[cAt + j] : 0f;
            for (int p = 0; p < k; p++) {
                s = Math.fma(a[aAt + p], b[bAt + p * bStride + j], s);
            }
            c[cAt + j] = s;
        }
    }

    private static void tile1x2(
            float[] a, int aAt, float[] b, int bAt, int bStride, float[] c, int cAt, int k, boolean add) {
        FloatVector s0 = start(c, cAt, add);
        FloatVector s1 = start(c, cAt + LANES, add);
        for (int p = 0; p < k; p++) {
            int at = bAt + p * bStride;
            FloatVector x = FloatVector.broadcast(FLOATS, a[aAt + p]);
            s0 = x.fma(FloatVector.fromArray(FLOATS, b, at), s0);
            s1 = x.fma(FloatVector.fromArray(FLOATS, b, at + LANES), s1);
        }
        s0.intoArray(c, cAt);
        s1.intoArray(c, cAt + LANES);
    }

    private static void tile1x4(
            float[] a, int aAt, float[] b, int bAt, int bStride, float[] c, int cAt, int k, boolean add) {
        FloatVector s0 = start(c, cAt, add);
        FloatVector s1 = start(c, cAt + LANES, add);
        FloatVector s2 = start(c, cAt + 2 * LANES, add);
        FloatVector s3 = start(c, cAt + 3 * LANES, add);
        for (int p = 0; p < k; p++) {
            int at = bAt + p * bStride;
            FloatVector x = FloatVector.broadcast(FLOATS, a[aAt + p]);
            s0 = x.fma(FloatVector.fromArray(FLOATS, b, at), s0);
            s1 = x.fma(FloatVector.fromArray(FLOATS, b, at + LANES), s1);
            s2 = x.fma(FloatVector.fromArray(FLOATS, b, at + 2 * LANES), s2);
            s3 = x.fma(FloatVector.fromArray(FLOATS, b, at + 3 * LANES), s3);
        }
        s0.intoArray(c, cAt);
        s1.intoArray(c, cAt + LANES);
        s2.intoArray(c, cAt + 2 * LANES);
        s3.intoArray(c, cAt + 3 * LANES);
    }

    private static void tile1x8(
            float[] a, int aAt, float[] b, int bAt, int bStride, float[] c, int cAt, int k, boolean add) {
        FloatVector s0 = start(c, cAt, add);
        FloatVector s1 = start(c, cAt + LANES, add);
        FloatVector s2 = start(c, cAt + 2 * LANES, add);
        FloatVector s3 = start(c, cAt + 3 * LANES, add);
        FloatVector s4 = start(c, cAt + 4 * LANES, add);
        FloatVector s5 = start(c, cAt + 5 * LANES, add);
        FloatVector s6 = start(c, cAt + 6 * LANES, add);
        FloatVector s7 = start(c, cAt + 7 * LANES, add);
        for (int p = 0; p < k; p++) {
            int at = bAt + p * bStride;
            FloatVector x = FloatVector.broadcast(FLOATS, a[aAt + p]);
            s0 = x.fma(FloatVector.fromArray(FLOATS, b, at), s0);
            s1 = x.fma(FloatVector.fromArray(FLOATS, b, at + LANES), s1);
            s2 = x.fma(FloatVector.fromArray(FLOATS, b, at + 2 * LANES), s2);
            s3 = x.fma(FloatVector.fromArray(FLOATS, b, at + 3 * LANES), s3);
            s4 = x.fma(FloatVector.fromArray(FLOATS, b, at + 4 * LANES), s4);
            s5 = x.fma(FloatVector.fromArray(FLOATS, b, at + 5 * LANES), s5);
            s6 = x.fma(FloatVector.fromArray(FLOATS, b, at + 6 * LANES), s6);
            s7 = x.fma(FloatVector.fromArray(FLOATS, b, at + 7 * LANES), s7);
        }
        s0.intoArray(c, cAt);
        s1.intoArray(c, cAt + LANES);
        s2.intoArray(c, cAt + 2 * LANES);
        s3.intoArray(c, cAt + 3 * LANES);
        s4.intoArray(c, cAt + 4 * LANES);
        s5.intoArray(c, cAt + 5 * LANES);
        s6.intoArray(c, cAt + 6 * LANES);
        s7.intoArray(c, cAt + 7 * LANES);
    }
}
