package dev.freshet.kernel;

import static dev.freshet.kernel.VectorFeatures.grown;

import java.util.Objects;

/** Decays and the delta rule of the gated kinds, docs/maths.md §2.6. */
final class VectorDelta {

    private final VectorAttention at;
    private float[] held = new float[0];
    private float[] factors = new float[0];

    VectorDelta(VectorAttention at) {
        this.at = at;
    }

    /** Cumulative log-decay of every new token along its path, from the start of the open group. */
    void writeDecays() {
        AttentionSpec spec = at.spec;
        int width = spec.decayDim();
        for (int t = 0; t < at.tokens; t++) {
            int record = at.recordAt(t) + spec.recordDecay();
            int parent = at.segments.parent(at.segment, t);
            for (int c = 0; c < width; c++) {
                float before = 0;
                if (parent >= 0) {
                    before = at.records[at.recordAt(parent) + spec.recordDecay() + c];
                } else if (at.open > 0) {
                    before = openDecay(at.open - 1, c);
                }
                at.records[record + c] = before + logDecay(t, c);
            }
        }
    }

    private float logDecay(int t, int c) {
        AttentionSpec spec = at.spec;
        if (spec.past() == AttentionSpec.Past.DECAY) {
            return FloatArray.of(Objects.requireNonNull(at.weights.logDecay()))[at.kvHead];
        }
        float[] gates = FloatArray.of(Objects.requireNonNull(at.call.gates()));
        int row = at.segments.first(at.segment) + t;
        return spec.past() == AttentionSpec.Past.DELTA
                ? gates[row * 2 * spec.kvHeads() + spec.kvHeads() + at.kvHead]
                : gates[(row * spec.kvHeads() + at.kvHead) * at.d + c];
    }

    float openDecay(int j, int c) {
        return at.state[at.base + at.spec.decayOffset() + c * at.spec.groupStride() + j];
    }

    float newDecay(int t, int c) {
        return at.records[at.recordAt(t) + at.spec.recordDecay() + c];
    }

    /** Multiplies row r of wOpen and wNew by e^(G_t - G_j), t the token whose rows these are, [from, to) rows. */
    void decayWeights(int t, int from, int to) {
        factors = grown(factors, Math.max(at.open, at.tokens));
        float own = newDecay(t, 0);
        for (int j = 0; j < at.open; j++) {
            factors[j] = -openDecay(j, 0);
        }
        VectorMath.exp(factors, 0, at.open, own);
        for (int r = from; r < to; r++) {
            for (int j = 0; j < at.open; j++) {
                at.wOpen[r * at.openPad + j] *= factors[j];
            }
        }
        for (int j = 0; j < at.tokens; j++) {
            factors[j] = -newDecay(j, 0);
        }
        VectorMath.exp(factors, 0, at.tokens, own);
        for (int r = from; r < to; r++) {
            for (int j = 0; j < at.tokens; j++) {
                at.wNew[r * at.tokensPad + j] *= factors[j];
            }
        }
    }

    /**
     * Delta rule: u = β (v - what state, open group and path hold for the key), written over newValues and into the records.
     *
     * @param keys in, [tokens, d] unit keys
     */
    void correctValues(float[] keys) {
        AttentionSpec spec = at.spec;
        int d = at.d;
        held = grown(held, at.tokens * d);
        Dense.gemm(keys, 0, d, at.state, at.base, d, held, 0, d, at.tokens, d, d, false);
        at.score(keys, at.tokens);
        float[] gates = FloatArray.of(Objects.requireNonNull(at.call.gates()));
        int values = at.base + spec.valueOffset() + spec.tail() * d;
        for (int t = 0; t < at.tokens; t++) {
            decayWeights(t, t, t + 1);
            VectorMath.scale(held, t * d, FloatMath.exp(newDecay(t, 0)), held, t * d, d);
            Dense.gemm(at.wOpen, t * at.openPad, at.openPad, at.state, values, d, held, t * d, d, 1, at.open, d, true);
            int n = at.segments.path(at.segment, t, at.path);
            for (int i = 0; i < n - 1; i++) {
                int node = at.path[i];
                VectorMath.addScaled(at.wNew[t * at.tokensPad + node], at.newValues, node * d, held, t * d, d);
            }
            float beta = gates[(at.segments.first(at.segment) + t) * 2 * spec.kvHeads() + at.kvHead];
            for (int e = 0; e < d; e++) {
                at.newValues[t * d + e] = beta * (at.newValues[t * d + e] - held[t * d + e]);
            }
            System.arraycopy(at.newValues, t * d, at.records, at.recordAt(t) + spec.recordValue(), d);
        }
    }
}
