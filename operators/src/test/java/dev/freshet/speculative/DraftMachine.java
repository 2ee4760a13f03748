package dev.freshet.speculative;

import dev.freshet.sampling.CounterRng;

/**
 * A simulated machine with a simulated clock: what a step costs, and how many guesses are right, are functions of a test. Reports the
 * cost of a run beside what plain decoding would have cost for the same tokens.
 */
final class DraftMachine {

    static final int[] SIZES = {1, 2, 4, 8, 16, 32, 64};
    static final int[] MOST = {1, 2, 3, 4, 5, 5, 5};

    private static final double MICRO = 1_000;

    private final DraftBudget budget = new DraftBudget(SIZES, MOST);
    private double time;
    private double plainTime;
    private double tokens;
    private long step;

    /** Cost of a step in microseconds. */
    interface Cost {
        double of(long step, int sequences, int nodes);
    }

    /** Chance that the guess at the next depth is right. */
    interface Chance {
        double of(long step, int nodes);
    }

    /** Runs so many steps; noisy adds 10 % to the clock at random, and makes one step in fifty three times as slow. */
    DraftMachine run(int steps, int sequences, Cost cost, Chance chance, boolean noisy) {
        for (int i = 0; i < steps; i++, step++) {
            int nodes = budget.nodes(sequences, true);
            int drawn = 0;
            for (int s = 0; s < sequences; s++) {
                drawn += accepted(nodes, chance.of(step, nodes), step * 64 + s);
            }
            double nanos = MICRO * cost.of(step, sequences, nodes);
            double noise = noisy ? 0.95 + 0.1 * CounterRng.uniform(1, step) + (step % 50 == 7 ? 2 : 0) : 1;
            budget.record(sequences, drawn, Math.round(nanos * noise));
            time += nanos;
            plainTime += MICRO * cost.of(step, sequences, 1) * drawn / sequences;
            tokens += drawn;
        }
        return this;
    }

    /** Time of plain decoding for the same tokens over the time taken: above 1 is faster than plain. */
    double gain() {
        return plainTime / time;
    }

    /** Expected gain of a size that is always used. */
    static double gain(int sequences, Cost cost, double chance, int nodes) {
        double expected = 1;
        for (int d = 1; d < longest(nodes); d++) {
            expected += Math.pow(chance, d);
        }
        return expected * cost.of(0, sequences, 1) / cost.of(0, sequences, nodes);
    }

    /** Gain of the best size. */
    static double best(int sequences, Cost cost, double chance) {
        double best = 0;
        for (int size : SIZES) {
            best = Math.max(best, gain(sequences, cost, chance, size));
        }
        return best;
    }

    private static int longest(int nodes) {
        int i = 0;
        while (SIZES[i] < nodes) {
            i++;
        }
        return MOST[i];
    }

    private static int accepted(int nodes, double chance, long draw) {
        int n = 1;
        while (n < longest(nodes) && CounterRng.uniform(9 + n, draw) < chance) {
            n++;
        }
        return n;
    }
}
