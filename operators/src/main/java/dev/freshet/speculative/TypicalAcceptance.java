package dev.freshet.speculative;

/**
 * The acceptance rule of the paper's code: a drafted token x passes where p(x) &gt; min(eps, delta · e^(-H(p))), p the model's
 * distribution at its parent and H its entropy (Cai et al. 2024, section 2.3.1). It does not keep the model's distribution: lossy.
 */
public final class TypicalAcceptance {

    private static final double EPS = 0.09;
    private static final double DELTA = 0.3;

    private TypicalAcceptance() {}

    /**
     * Chooses the deepest path all of whose nodes pass; among equals the one with the larger product of probabilities, then the first.
     *
     * @param logits [.., V], the row of node i at (firstRow + i) · V
     * @param temperature divides the logits; below 1e-5 it counts as 1e-5
     * @return index of the last accepted node; 0 when no guess passes
     */
    public static int lastNode(DraftTree tree, float[] logits, int firstRow, int vocab, double temperature) {
        int n = tree.size();
        double[] score = new double[n];
        int[] depth = new int[n];
        boolean[] passes = new boolean[n];
        boolean[] ready = new boolean[n];
        double[] threshold = new double[n];
        double[] normaliser = new double[n];
        passes[0] = true;
        int best = 0;
        double t = Math.max(temperature, 1e-5);
        for (int i = 1; i < n; i++) {
            int parent = tree.parents()[i];
            if (!passes[parent]) {
                continue;
            }
            int row = (firstRow + parent) * vocab;
            if (!ready[parent]) {
                distribution(logits, row, vocab, t, parent, normaliser, threshold);
                ready[parent] = true;
            }
            double logp = logits[row + tree.tokens()[i]] / t - normaliser[parent];
            passes[i] = StrictMath.exp(logp) > threshold[parent];
            score[i] = score[parent] + logp;
            depth[i] = depth[parent] + 1;
            if (passes[i] && (depth[i] > depth[best] || depth[i] == depth[best] && score[i] > score[best])) {
                best = i;
            }
        }
        return best;
    }

    private static void distribution(
            float[] logits, int row, int vocab, double t, int node, double[] normaliser, double[] threshold) {
        double max = Double.NEGATIVE_INFINITY;
        for (int v = 0; v < vocab; v++) {
            max = Math.max(max, logits[row + v] / t);
        }
        double sum = 0;
        for (int v = 0; v < vocab; v++) {
            sum += StrictMath.exp(logits[row + v] / t - max);
        }
        normaliser[node] = max + StrictMath.log(sum);
        double entropy = 0;
        for (int v = 0; v < vocab; v++) {
            double logp = logits[row + v] / t - normaliser[node];
            entropy -= StrictMath.exp(logp) * logp;
        }
        threshold[node] = Math.min(EPS, DELTA * StrictMath.exp(-entropy));
    }
}
