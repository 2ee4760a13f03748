package dev.freshet.kernel;

import static dev.freshet.kernel.AttentionSpec.BLOCK;
import static dev.freshet.kernel.VectorFeatures.grown;

import java.util.Arrays;

/**
 * Softmax attention over a key/value cache, docs/maths.md §2.5: all scores of up to four rows, their maximum, weights and sums, then
 * one pass over the values. The sum of weights runs in eight interleaved chains by absolute position, so it does not depend on where
 * the cache ends and the path begins.
 */
final class VectorCache {

    private static final int ROWS = 4;
    private static final int CHAINS = 8;

    private final VectorAttention at;
    private float[] scaled = new float[0];
    private float[] scores = new float[0];
    private float[] scoresNew = new float[0];
    private final float[] chains = new float[CHAINS];
    private final float[] sums = new float[ROWS];

    VectorCache(VectorAttention at) {
        this.at = at;
    }

    /** num [rows, d] = softmax(q k / sqrt d) v over cache and path. */
    void read(float[] num) {
        int d = at.d;
        scaled = grown(scaled, at.rows * d);
        VectorMath.scale(at.q, 0, (float) (1 / Math.sqrt(d)), scaled, 0, at.rows * d);
        int stride = at.openPad;
        scores = grown(scores, ROWS * stride);
        scoresNew = grown(scoresNew, at.rows * at.tokensPad);
        Dense.gemm(
                scaled, 0, d, at.newKeys, 0, at.tokensPad, scoresNew, 0, at.tokensPad, at.rows, d, at.tokensPad, false);
        int values = at.base + at.spec.cacheValues();
        for (int r = 0; r < at.rows; r += ROWS) {
            int count = Math.min(ROWS, at.rows - r);
            for (int j = 0; j < at.open; j += BLOCK) {
                int n = Math.min(BLOCK, VectorAttention.pad(at.open - j));
                Dense.gemm(scaled, r * d, d, at.state, at.base + j * d, BLOCK, scores, j, stride, count, d, n, false);
            }
            for (int i = 0; i < count; i++) {
                sums[i] = weigh(r + i, i * stride);
            }
            Dense.gemm(scores, 0, stride, at.state, values, d, num, r * d, d, count, at.open, d, true);
            for (int i = 0; i < count; i++) {
                int row = r + i;
                int n = at.segments.path(at.segment, row / at.share, at.path);
                for (int p = 0; p < n; p++) {
                    int node = at.path[p];
                    VectorMath.addScaled(scoresNew[row * at.tokensPad + node], at.newValues, node * d, num, row * d, d);
                }
                VectorMath.scale(num, row * d, 1f / sums[i], num, row * d, d);
            }
        }
    }

    /** Turns the scores of a row into e^(s - max) and returns their sum. */
    private float weigh(int row, int first) {
        int n = at.segments.path(at.segment, row / at.share, at.path);
        float max = Float.NEGATIVE_INFINITY;
        for (int j = 0; j < at.open; j++) {
            max = Math.max(max, scores[first + j]);
        }
        for (int p = 0; p < n; p++) {
            max = Math.max(max, scoresNew[row * at.tokensPad + at.path[p]]);
        }
        VectorMath.exp(scores, first, at.open, -max);
        VectorMath.exp(scoresNew, row * at.tokensPad, at.tokens, -max);
        Arrays.fill(chains, 0f);
        for (int j = 0; j < at.open; j++) {
            chains[j % CHAINS] += scores[first + j];
        }
        for (int p = 0; p < n; p++) {
            chains[(at.open + p) % CHAINS] += scoresNew[row * at.tokensPad + at.path[p]];
        }
        return ((chains[0] + chains[1]) + (chains[2] + chains[3]))
                + ((chains[4] + chains[5]) + (chains[6] + chains[7]));
    }
}
