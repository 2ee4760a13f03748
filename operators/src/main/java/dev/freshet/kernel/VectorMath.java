package dev.freshet.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** The vector twin of {@link FloatMath}: the same operations in the same order, so the same bits in every lane. */
final class VectorMath {

    static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
    static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    static final int LANES = FLOATS.length();

    private VectorMath() {}

    private static FloatVector exp(FloatVector x) {
        FloatVector y = x.max(FloatMath.EXP_MIN).min(FloatMath.EXP_MAX);
        FloatVector shifted =
                y.fma(FloatVector.broadcast(FLOATS, FloatMath.LOG2E), FloatVector.broadcast(FLOATS, FloatMath.ROUND));
        FloatVector n = shifted.sub(FloatMath.ROUND);
        FloatVector r = n.fma(FloatVector.broadcast(FLOATS, -FloatMath.LN2_HIGH), y);
        r = n.fma(FloatVector.broadcast(FLOATS, -FloatMath.LN2_LOW), r);
        FloatVector p = FloatVector.broadcast(FLOATS, FloatMath.P0);
        p = p.fma(r, FloatVector.broadcast(FLOATS, FloatMath.P1));
        p = p.fma(r, FloatVector.broadcast(FLOATS, FloatMath.P2));
        p = p.fma(r, FloatVector.broadcast(FLOATS, FloatMath.P3));
        p = p.fma(r, FloatVector.broadcast(FLOATS, FloatMath.P4));
        p = p.fma(r, FloatVector.broadcast(FLOATS, FloatMath.P5));
        p = p.fma(r.mul(r), r).add(1f);
        IntVector bits =
                shifted.viewAsIntegralLanes().lanewise(VectorOperators.LSHL, 23).add(0x3f800000);
        return p.mul(bits.viewAsFloatingLanes());
    }

    /** x[i] = e^(x[i] + shift) for count floats from at on. */
    static void exp(float[] x, int at, int count, float shift) {
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            exp(FloatVector.fromArray(FLOATS, x, at + i).add(shift)).intoArray(x, at + i);
        }
        for (; i < count; i++) {
            x[at + i] = FloatMath.exp(x[at + i] + shift);
        }
    }

    /** out[i] = silu(gate[i]) · up[i]. */
    static void siluMul(float[] x, int gate, int up, float[] out, int at, int count) {
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            FloatVector g = FloatVector.fromArray(FLOATS, x, gate + i);
            FloatVector s = g.div(exp(g.neg()).add(1f));
            s.mul(FloatVector.fromArray(FLOATS, x, up + i)).intoArray(out, at + i);
        }
        for (; i < count; i++) {
            out[at + i] = FloatMath.silu(x[gate + i]) * x[up + i];
        }
    }

    /** Rotates the halves of a head: x [2 half] from at on, cosSin [2 half] from angles on, cosines first. */
    static void rotate(float[] x, int at, float[] cosSin, int angles, int half) {
        int c = 0;
        for (; c <= half - LANES; c += LANES) {
            FloatVector cos = FloatVector.fromArray(FLOATS, cosSin, angles + c);
            FloatVector sin = FloatVector.fromArray(FLOATS, cosSin, angles + half + c);
            FloatVector p = FloatVector.fromArray(FLOATS, x, at + c);
            FloatVector q = FloatVector.fromArray(FLOATS, x, at + half + c);
            p.mul(cos).sub(q.mul(sin)).intoArray(x, at + c);
            q.mul(cos).add(p.mul(sin)).intoArray(x, at + half + c);
        }
        for (; c < half; c++) {
            float cos = cosSin[angles + c];
            float sin = cosSin[angles + half + c];
            float p = x[at + c];
            float q = x[at + half + c];
            x[at + c] = p * cos - q * sin;
            x[at + half + c] = q * cos + p * sin;
        }
    }

    /** x[i] = gelu(x[i]). */
    static void gelu(float[] x, int at, int count) {
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            FloatVector v = FloatVector.fromArray(FLOATS, x, at + i);
            FloatVector u = v.mul(0.044715f).mul(v).fma(v, v).mul(0.7978845608f);
            v.div(exp(u.mul(-2f)).add(1f)).intoArray(x, at + i);
        }
        for (; i < count; i++) {
            x[at + i] = FloatMath.gelu(x[at + i]);
        }
    }

    /** x[i] = max(x[i], 0)². */
    static void squaredRelu(float[] x, int at, int count) {
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            FloatVector v = FloatVector.fromArray(FLOATS, x, at + i).max(0f);
            v.mul(v).intoArray(x, at + i);
        }
        for (; i < count; i++) {
            float v = Math.max(x[at + i], 0f);
            x[at + i] = v * v;
        }
    }

    /** out[i] = fma(factor, x[i], out[i]). */
    static void addScaled(float factor, float[] x, int from, float[] out, int at, int count) {
        int i = 0;
        FloatVector f = FloatVector.broadcast(FLOATS, factor);
        for (; i <= count - LANES; i += LANES) {
            f.fma(FloatVector.fromArray(FLOATS, x, from + i), FloatVector.fromArray(FLOATS, out, at + i))
                    .intoArray(out, at + i);
        }
        for (; i < count; i++) {
            out[at + i] = Math.fma(factor, x[from + i], out[at + i]);
        }
    }

    /** out[i] = x[i] · factor. */
    static void scale(float[] x, int from, float factor, float[] out, int at, int count) {
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            FloatVector.fromArray(FLOATS, x, from + i).mul(factor).intoArray(out, at + i);
        }
        for (; i < count; i++) {
            out[at + i] = x[from + i] * factor;
        }
    }

    /** out[i] = x[i] · factor · weight[i]. */
    static void scale(float[] x, int from, float factor, float[] weight, float[] out, int at, int count) {
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            FloatVector.fromArray(FLOATS, x, from + i)
                    .mul(factor)
                    .mul(FloatVector.fromArray(FLOATS, weight, i))
                    .intoArray(out, at + i);
        }
        for (; i < count; i++) {
            out[at + i] = x[from + i] * factor * weight[i];
        }
    }
}
