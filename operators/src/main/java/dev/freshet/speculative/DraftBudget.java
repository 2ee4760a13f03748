package dev.freshet.speculative;

/**
 * Decides how many nodes a draft may have by what pays: for each fill of the batch it keeps the measured rate (tokens for each
 * nanosecond of step time) of a few draft sizes, uses the best, and now and then tries its neighbours. What a trial costs decides how
 * long the next one waits, so that trials take about one per cent of the time. A size must beat plain decoding by a margin to be
 * used. It influences speed alone, never text. Confined to the engine thread.
 */
public final class DraftBudget {

    private static final int WARMUP = 6;
    private static final int TRIAL = 3;
    private static final int FIRST_STAY = 16;
    private static final int SHORTEST_STAY = 128;
    private static final int LONGEST_STAY = 1 << 16;
    private static final double TRIAL_SHARE = 0.01;
    private static final double MARGIN = 1.03;
    private static final double HOPELESS = 0.8;

    /** Steps after which a size that is far from paying is given up while sizes are tried for the first time. */
    private static final int GLANCE = 2;

    private static final double FAR_FROM_PAYING = 0.25;
    private static final double KEEP = 1 - 1.0 / 64;

    private final int[] sizes;
    private final Fill[] fills = new Fill[24];

    /** Sizes to choose from in nodes, the root included, ascending; the first must be 1, plain decoding. */
    public DraftBudget(int... sizes) {
        if (sizes.length == 0 || sizes[0] != 1) {
            throw new IllegalArgumentException("Cannot budget drafts: expected sizes that begin with 1");
        }
        this.sizes = sizes.clone();
    }

    private Fill fill(int sequences) {
        int i = Math.min(32 - Integer.numberOfLeadingZeros(Math.max(1, sequences)), fills.length - 1);
        if (fills[i] == null) {
            fills[i] = new Fill(sizes.length);
        }
        return fills[i];
    }

    /** Nodes that each of so many decoding sequences may draft in the coming step. */
    public int nodes(int sequences) {
        return sizes[fill(sequences).current];
    }

    /** Learns what a step that followed {@link #nodes} cost and brought. */
    public void record(int sequences, int tokens, long nanos) {
        fill(sequences).record(tokens, nanos);
    }

    /** Measurements for one power of two of decoding sequences. */
    private static final class Fill {
        private final double[] tokens;
        private final double[] nanos;
        private int current;
        private int used;
        private int left = WARMUP;
        private int trials;
        private boolean warm;
        private boolean trying;
        private double loss;

        Fill(int sizes) {
            tokens = new double[sizes];
            nanos = new double[sizes];
        }

        private double rate(int size) {
            return nanos[size] == 0 ? 0 : tokens[size] / nanos[size];
        }

        private int best() {
            int best = 0;
            for (int i = 1; i < tokens.length; i++) {
                if (rate(i) > (best == 0 ? rate(0) * MARGIN : rate(best))) {
                    best = i;
                }
            }
            return best;
        }

        void record(int stepTokens, long stepNanos) {
            if (stepNanos > 0) {
                tokens[current] = tokens[current] * KEEP + stepTokens;
                nanos[current] = nanos[current] * KEEP + stepNanos;
                if (trying) {
                    loss += stepNanos - stepTokens / rate(used);
                }
            }
            left--;
            boolean glanced = !warm && left <= WARMUP - GLANCE;
            if (left > 0 && !(glanced && rate(current) < FAR_FROM_PAYING * rate(best()))) {
                return;
            }
            if (!warm) {
                climb();
            } else if (!trying && tokens.length > 1) {
                tryNeighbour();
            } else {
                settle();
            }
        }

        /** The first steps measure size after size, until one is hopelessly slower than a smaller one. */
        private void climb() {
            boolean hopeless = rate(current) < HOPELESS * rate(best());
            if (!hopeless && current + 1 < tokens.length) {
                current++;
                left = WARMUP;
            } else {
                warm = true;
                used = best();
                current = used;
                left = FIRST_STAY;
            }
        }

        private void tryNeighbour() {
            used = best();
            trials++;
            int wanted = trials % 4 == 0 ? 0 : used + (trials % 2 == 0 ? -1 : 1);
            int neighbour = Math.max(0, Math.min(tokens.length - 1, wanted));
            current = neighbour == used ? (used == 0 ? 1 : used - 1) : neighbour;
            // Old measurements of a size that was not in use say little; the trial counts most.
            tokens[current] *= 0.25;
            nanos[current] *= 0.25;
            loss = 0;
            trying = true;
            left = TRIAL;
        }

        private void settle() {
            int best = best();
            double step = nanos[used] * (1 - KEEP);
            double stay = step > 0 ? loss / (TRIAL_SHARE * step) : 0;
            // A size that has just won has to prove itself before it is trusted for long.
            left = best != used ? FIRST_STAY : (int) Math.max(SHORTEST_STAY, Math.min(LONGEST_STAY, stay));
            used = best;
            current = best;
            trying = false;
        }
    }
}
