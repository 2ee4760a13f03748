package dev.freshet.sampling;

import java.util.Arrays;

/**
 * Cuts a list of tokens to a head of its descending order (by value, ties by id) without sorting it. A histogram of the distance to
 * the largest value finds the bin in which the head ends; only the values down to that bin are sorted. The kept tokens stay in order
 * of id. Scratch memory is claimed once. Confined to the engine thread.
 */
final class HeadCut {

    private static final int BINS = 2048;
    private static final double BINS_PER_UNIT = 32;

    private final double[] sorted;
    private final int[] counts = new int[BINS];

    HeadCut(int vocab) {
        sorted = new double[vocab];
    }

    /**
     * Keeps the k largest.
     *
     * @param ids in/out, [n], ascending
     * @param values in/out, [n], their values
     * @param peak largest value
     * @param k number to keep, below n
     * @return k
     */
    int keepLargest(int[] ids, double[] values, int n, double peak, int k) {
        histogram(values, n, peak);
        int last = 0;
        for (int seen = counts[0]; seen < k; seen += counts[last]) {
            last++;
        }
        int candidates = gather(values, n, peak, last);
        return keepHead(ids, values, n, candidates, k);
    }

    /**
     * Keeps the tokens before which, in descending order, less mass lies than a bound; the first one always.
     *
     * @param ids in/out, [n], ascending
     * @param values in/out, [n], their values; the weight is exp(value - peak)
     * @param peak largest value
     * @param bound share of the total weight
     * @return number of tokens kept
     */
    int keepMass(int[] ids, double[] values, int n, double peak, double bound) {
        histogram(values, n, peak);
        // A guess of the bin in which the mass is reached: each bin counted with its least weight.
        int last = 0;
        double least = 0;
        for (int bin = 0; bin < BINS; bin++) {
            last = bin;
            least += counts[bin] * StrictMath.exp(-(bin + 1) / BINS_PER_UNIT);
            if (least >= bound) {
                break;
            }
        }
        int candidates = gather(values, n, peak, last);
        int head = headOfMass(candidates, peak, bound);
        if (head > candidates && candidates < n) {
            candidates = gather(values, n, peak, BINS - 1);
            head = headOfMass(candidates, peak, bound);
        }
        return keepHead(ids, values, n, candidates, Math.min(head, candidates));
    }

    /** Length of the head; one more than there are candidates when even all of them do not reach the bound. */
    private int headOfMass(int candidates, double peak, double bound) {
        double before = 0;
        int head = 0;
        while (head < candidates && (head == 0 || before < bound)) {
            before += StrictMath.exp(sorted[candidates - 1 - head] - peak);
            head++;
        }
        return before < bound ? candidates + 1 : head;
    }

    private void histogram(double[] values, int n, double peak) {
        Arrays.fill(counts, 0);
        for (int i = 0; i < n; i++) {
            counts[bin(peak - values[i])]++;
        }
    }

    // Never decreases with the gap, so that a bin boundary never separates a pair in the wrong order.
    private static int bin(double gap) {
        return Math.min((int) (gap * BINS_PER_UNIT), BINS - 1);
    }

    private int gather(double[] values, int n, double peak, int lastBin) {
        int m = 0;
        for (int i = 0; i < n; i++) {
            if (bin(peak - values[i]) <= lastBin) {
                sorted[m++] = values[i];
            }
        }
        Arrays.sort(sorted, 0, m);
        return m;
    }

    /** Keeps what the first {@code head} of the sorted candidates stand for. */
    private int keepHead(int[] ids, double[] values, int n, int candidates, int head) {
        double end = sorted[candidates - head];
        int equal = 0;
        while (equal < head && sorted[candidates - head + equal] == end) {
            equal++;
        }
        int kept = 0;
        for (int i = 0; i < n; i++) {
            double v = values[i];
            if (v > end || (v == end && equal-- > 0)) {
                ids[kept] = ids[i];
                values[kept] = v;
                kept++;
            }
        }
        return kept;
    }
}
