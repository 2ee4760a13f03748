package dev.freshet.speculative;

/**
 * Decides how many nodes a draft may have by what pays: for each fill of the batch it keeps the measured rate (tokens for each
 * nanosecond of step time) of a few draft sizes, uses the best, and tries the others again at growing intervals. A size must beat
 * plain decoding by a margin to be used. It influences speed alone, never text. Confined to the engine thread.
 */
public final class DraftBudget {

    private static final int WARMUP = 8;
    private static final int PROBE = 3;
    private static final int FIRST_INTERVAL = 128;
    private static final int LAST_INTERVAL = 4096;
    private static final double MARGIN = 1.03;
    private static final double WEIGHT = 0.15;

    private final int[] sizes;
    private final Fill[] fills = new Fill[24];

    /** Measurements for one power of two of decoding sequences. */
    private static final class Fill {
        final double[] rate;
        final int[] seen;
        int arm;
        int left = WARMUP;
        int next = 1;
        int interval = FIRST_INTERVAL;
        int settled = -1;
        boolean warm;
        boolean probing;

        Fill(int arms) {
            rate = new double[arms];
            seen = new int[arms];
        }

        int best() {
            int best = 0;
            for (int i = 1; i < rate.length; i++) {
                double bar = best == 0 ? rate[0] * MARGIN : rate[best];
                best = rate[i] > bar ? i : best;
            }
            return best;
        }
    }

    /** Sizes to choose from in nodes, the root included, ascending; the first must be 1, plain decoding. */
    public DraftBudget(int... sizes) {
        this.sizes = sizes.clone();
    }

    private Fill fill(int sequences) {
        int i = 32 - Integer.numberOfLeadingZeros(Math.max(1, sequences));
        i = Math.min(i, fills.length - 1);
        if (fills[i] == null) {
            fills[i] = new Fill(sizes.length);
        }
        return fills[i];
    }

    /** Nodes that each of so many decoding sequences may draft in the coming step. */
    public int nodes(int sequences) {
        return sizes[fill(sequences).arm];
    }

    /** Learns what a step that followed {@link #nodes} cost and brought. */
    public void record(int sequences, int tokens, long nanos) {
        Fill f = fill(sequences);
        if (nanos > 0) {
            double rate = (double) tokens / nanos;
            // The first steps of a size carry compilation; they count for little.
            double weight = f.seen[f.arm] < WARMUP / 2 ? 0.7 : WEIGHT;
            f.rate[f.arm] += (f.seen[f.arm] == 0 ? 1 : weight) * (rate - f.rate[f.arm]);
            f.seen[f.arm]++;
        }
        if (--f.left > 0) {
            return;
        }
        if (!f.warm && ++f.arm < sizes.length) {
            f.left = WARMUP;
        } else if (f.warm && !f.probing && sizes.length > 1) {
            probe(f);
        } else {
            f.warm = true;
            settle(f);
        }
    }

    private void settle(Fill f) {
        int best = f.best();
        f.interval = best == f.settled ? Math.min(2 * f.interval, LAST_INTERVAL) : FIRST_INTERVAL;
        f.settled = best;
        f.arm = best;
        f.left = f.interval;
        f.probing = false;
    }

    private void probe(Fill f) {
        int best = f.arm;
        f.arm = f.next % sizes.length;
        f.next++;
        if (f.arm == best) {
            f.arm = f.next % sizes.length;
            f.next++;
        }
        f.left = PROBE;
        f.probing = true;
    }
}
