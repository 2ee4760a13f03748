package dev.freshet.kernel;

import static dev.freshet.kernel.VectorFeatures.grown;

import java.util.Arrays;
import java.util.Objects;

/** Reading the past in vector arithmetic, docs/maths.md §2.3; the twin of {@link ReferencePast}. */
final class VectorPast {

    private final VectorAttention at;
    private final VectorDelta delta;
    private final VectorCache cache;
    private float[] mapped = new float[0];
    private float[] num = new float[0];
    private float[] den = new float[0];
    private float[] slotWeights = new float[0];
    private float[] slotRows = new float[0];
    private float[] slotColumns = new float[0];
    private float[] factors = new float[0];

    VectorPast(VectorAttention at) {
        this.at = at;
        delta = new VectorDelta(at);
        cache = new VectorCache(at);
    }

    /** Writes the finished output of the past of all rows into global [rows, H d]. */
    void read(float[] global) {
        num = VectorFeatures.zeroed(num, at.rows * at.d);
        switch (at.spec.past()) {
            case NONE -> {}
            case CACHE -> cache.read(num);
            case SUM -> sum();
            case TABLES -> tables();
            case SLOTS -> slots();
            case DECAY, DELTA -> decayed();
            case CHANNEL_DECAY -> channelDecayed();
        }
        finish();
        int width = at.spec.heads() * at.d;
        int block = at.share * at.d;
        for (int t = 0; t < at.tokens; t++) {
            int to = (at.segments.first(at.segment) + t) * width + at.kvHead * block;
            System.arraycopy(num, t * block, global, to, block);
        }
    }

    private void finish() {
        AttentionSpec spec = at.spec;
        for (int r = 0; r < at.rows; r++) {
            int o = r * at.d;
            switch (spec.finish()) {
                case RATIO_EPS -> VectorMath.scale(num, o, 1f / (den[r] + 1e-6f), num, o, at.d);
                case RATIO -> VectorMath.scale(num, o, den[r] == 0 ? 0f : 1f / den[r], num, o, at.d);
                case UNIT -> VectorMath.scale(num, o, FloatMath.inverseLength(num, o, at.d), num, o, at.d);
                case HEAD_NORM -> {
                    float[] norm = FloatArray.of(Objects.requireNonNull(at.weights.norm()));
                    float scale = (float) FloatMath.inverseRms(num, o, at.d, 1e-6);
                    VectorMath.scale(num, o, scale, norm, num, o, at.d);
                }
                case NONE, TOKEN_RMS -> {}
            }
        }
    }

    private void mapQueries() {
        mapped = grown(mapped, at.rows * VectorFeatures.width(at.spec));
        at.features.map(at.spec, at.weights, at.q, at.rows, true, at.kvHead, mapped);
    }

    private void sum() {
        AttentionSpec spec = at.spec;
        int f = spec.featureDim();
        mapQueries();
        Dense.gemm(mapped, 0, f, at.state, at.base, at.d, num, 0, at.d, at.rows, f, at.d, false);
        if (!spec.grouped()) {
            at.score(mapped, at.rows);
            at.accumulate(num);
        }
        if (spec.denominator()) {
            denominators(f);
        }
    }

    /** den = φ(q)·z + weights over the open group, then over the path. */
    private void denominators(int f) {
        den = grown(den, at.rows);
        int z = at.base + at.spec.zOffset();
        for (int t = 0; t < at.tokens; t++) {
            int n = at.segments.path(at.segment, t, at.path);
            for (int r = t * at.share; r < (t + 1) * at.share; r++) {
                float s = 0;
                for (int c = 0; c < f; c++) {
                    s = Math.fma(mapped[r * f + c], at.state[z + c], s);
                }
                if (!at.spec.grouped()) {
                    for (int j = 0; j < at.open; j++) {
                        s += at.wOpen[r * at.openPad + j];
                    }
                    for (int i = 0; i < n; i++) {
                        s += at.wNew[r * at.tokensPad + at.path[i]];
                    }
                }
                den[r] = s;
            }
        }
    }

    private void tables() {
        AttentionSpec spec = at.spec;
        int rounds = spec.hashRounds();
        float share = 1f / rounds;
        mapQueries();
        for (int r = 0; r < at.rows; r++) {
            for (int round = 0; round < rounds; round++) {
                int cell = at.base + (round * spec.cells() + (int) mapped[r * rounds + round]) * at.d;
                VectorMath.addScaled(share, at.state, cell, num, r * at.d, at.d);
            }
        }
        if (spec.grouped()) {
            return;
        }
        at.wOpen = grown(at.wOpen, at.rows * at.openPad);
        at.wNew = grown(at.wNew, at.rows * at.tokensPad);
        int keys = at.base + spec.scoreOffset();
        for (int r = 0; r < at.rows; r++) {
            for (int j = 0; j < at.open; j++) {
                at.wOpen[r * at.openPad + j] = share * hits(r, rounds, at.state, keys + j, spec.groupStride());
            }
            for (int j = 0; j < at.tokens; j++) {
                at.wNew[r * at.tokensPad + j] = share * hits(r, rounds, at.newKeys, j, at.tokensPad);
            }
        }
        at.accumulate(num);
    }

    private int hits(int r, int rounds, float[] codes, int first, int stride) {
        int hits = 0;
        for (int round = 0; round < rounds; round++) {
            hits += codes[first + round * stride] == mapped[r * rounds + round] ? 1 : 0;
        }
        return hits;
    }

    private void slots() {
        AttentionSpec spec = at.spec;
        int n = spec.slotCount();
        slotWeights = grown(slotWeights, at.rows * n);
        Dense.gemm(at.q, 0, at.d, at.state, at.base, n, slotWeights, 0, n, at.rows, at.d, n, false);
        boolean include = !spec.grouped();
        if (include) {
            loadSlotRows(n);
            at.score(at.q, at.rows);
            Dense.gemm(at.wOpen, 0, at.openPad, slotRows, 0, n, slotWeights, 0, n, at.rows, at.open, n, true);
            System.arraycopy(slotRows, at.open * n, slotColumns, 0, at.tokens * n);
            at.addNew(at.wNew, slotColumns, n, slotWeights);
        }
        float scale = (float) (1 / Math.sqrt(at.d));
        for (int r = 0; r < at.rows; r++) {
            VectorMath.scale(slotWeights, r * n, scale, slotWeights, r * n, n);
            VectorFeatures.softmax(slotWeights, r * n, n);
        }
        Dense.gemm(
                slotWeights, 0, n, at.state, at.base + spec.slotValues(), at.d, num, 0, at.d, at.rows, n, at.d, false);
        if (include) {
            transposeSlotRows(n, 0, at.open, at.openPad);
            Dense.gemm(
                    slotWeights,
                    0,
                    n,
                    slotColumns,
                    0,
                    at.openPad,
                    at.wOpen,
                    0,
                    at.openPad,
                    at.rows,
                    n,
                    at.openPad,
                    false);
            transposeSlotRows(n, at.open, at.tokens, at.tokensPad);
            Dense.gemm(
                    slotWeights,
                    0,
                    n,
                    slotColumns,
                    0,
                    at.tokensPad,
                    at.wNew,
                    0,
                    at.tokensPad,
                    at.rows,
                    n,
                    at.tokensPad,
                    false);
            at.accumulate(num);
        }
    }

    /** slotRows [open + tokens, R]: the slot rows of the open group, then of the new tokens by their positions. */
    private void loadSlotRows(int n) {
        float[] rows = FloatArray.of(Objects.requireNonNull(at.weights.slots()));
        int period = at.spec.slotPositions();
        slotRows = grown(slotRows, (at.open + at.tokens) * n);
        slotColumns = grown(slotColumns, Math.max(Math.max(at.openPad, at.tokensPad), at.tokens) * n);
        int start = at.segments.position(at.segment) - at.open;
        for (int j = 0; j < at.open; j++) {
            System.arraycopy(rows, (start + j) % period * n, slotRows, j * n, n);
        }
        for (int t = 0; t < at.tokens; t++) {
            int position = at.segments.positionOf(at.segment, t);
            System.arraycopy(rows, position % period * n, slotRows, (at.open + t) * n, n);
        }
    }

    private void transposeSlotRows(int n, int from, int count, int stride) {
        Arrays.fill(slotColumns, 0, n * stride, 0f);
        for (int j = 0; j < count; j++) {
            for (int r = 0; r < n; r++) {
                slotColumns[r * stride + j] = slotRows[(from + j) * n + r];
            }
        }
    }

    private void decayed() {
        mapQueries();
        int d = at.d;
        float scale = (float) (1 / Math.sqrt(d));
        VectorMath.scale(mapped, 0, scale, mapped, 0, at.rows * d);
        at.score(mapped, at.rows);
        for (int t = 0; t < at.tokens; t++) {
            int r = t * at.share;
            delta.decayWeights(t, r, r + at.share);
            VectorMath.scale(mapped, r * d, FloatMath.exp(delta.newDecay(t, 0)), mapped, r * d, at.share * d);
        }
        Dense.gemm(mapped, 0, d, at.state, at.base, d, num, 0, d, at.rows, d, d, false);
        at.accumulate(num);
    }

    private void channelDecayed() {
        AttentionSpec spec = at.spec;
        int d = at.d;
        mapQueries();
        VectorMath.scale(mapped, 0, (float) (1 / Math.sqrt(d)), mapped, 0, at.rows * d);
        at.wOpen = VectorFeatures.zeroed(at.wOpen, at.rows * at.openPad);
        at.wNew = VectorFeatures.zeroed(at.wNew, at.rows * at.tokensPad);
        factors = grown(factors, Math.max(at.open, at.tokens));
        for (int t = 0; t < at.tokens; t++) {
            for (int c = 0; c < d; c++) {
                float own = delta.newDecay(t, c);
                for (int j = 0; j < at.open; j++) {
                    factors[j] = -delta.openDecay(j, c);
                }
                VectorMath.exp(factors, 0, at.open, own);
                int keys = at.base + spec.scoreOffset() + c * spec.groupStride();
                addChannel(t, c, at.state, keys, at.open, at.wOpen, at.openPad);
                for (int j = 0; j < at.tokens; j++) {
                    factors[j] = -delta.newDecay(j, c);
                }
                VectorMath.exp(factors, 0, at.tokens, own);
                addChannel(t, c, at.newKeys, c * at.tokensPad, at.tokens, at.wNew, at.tokensPad);
            }
            for (int r = t * at.share; r < (t + 1) * at.share; r++) {
                for (int c = 0; c < d; c++) {
                    mapped[r * d + c] *= FloatMath.exp(delta.newDecay(t, c));
                }
            }
        }
        Dense.gemm(mapped, 0, d, at.state, at.base, d, num, 0, d, at.rows, d, d, false);
        at.accumulate(num);
    }

    /** w[r, j] += q[r, c] factors[j] keys[j] for the rows of token t. */
    private void addChannel(int t, int c, float[] keys, int first, int count, float[] w, int stride) {
        for (int r = t * at.share; r < (t + 1) * at.share; r++) {
            float query = mapped[r * at.d + c];
            for (int j = 0; j < count; j++) {
                w[r * stride + j] = Math.fma(query * factors[j], keys[first + j], w[r * stride + j]);
            }
        }
    }
}
