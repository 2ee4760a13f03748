package dev.freshet.speculative;

/** What steps with drafts cost beside plain ones, for about one number of sequences, and when to measure again. Confined to one thread. */
final class DraftCosts {

    /** Steps over which a cost is averaged. */
    private static final int MEMORY = 32;

    /** From so many steps on a cost is known well enough to tell a hiccup of the machine. */
    private static final int SURE = 8;

    private static final double HICCUP = 3;
    private static final int FIRST_WAIT = 128;
    private static final int LONGEST_WAIT = 2_048;

    /** Cost of a step in plain steps, by size. */
    final double[] relative;

    /** Steps behind it, 0 when unknown. */
    final int[] steps;

    /** Steps with this number of sequences. */
    long clock;

    /** The size on trial, 0 for none; the drafts still wanted of it, the steps made. */
    int trial;

    int trialLeft;
    int trialSteps;

    private final int[] wait;
    private final long[] next;

    DraftCosts(int sizes) {
        relative = new double[sizes];
        steps = new int[sizes];
        wait = new int[sizes];
        next = new long[sizes];
    }

    /** Whether a size may be tried again. */
    boolean due(int size) {
        return clock >= next[size];
    }

    void startTrial(int size, int drafts) {
        trial = size;
        trialLeft = drafts;
        trialSteps = 0;
        // Old measurements of a size that was not in use say little; the trial counts most.
        steps[size] = Math.min(steps[size], 1);
    }

    /** A size that lost waits twice as long each time; one that won makes the next larger one worth a trial at once. */
    void endTrial(boolean won) {
        wait[trial] = won ? FIRST_WAIT : Math.min(LONGEST_WAIT, Math.max(FIRST_WAIT, 2 * wait[trial]));
        next[trial] = clock + wait[trial];
        if (won && trial + 1 < next.length) {
            next[trial + 1] = clock;
            wait[trial + 1] = 0;
        }
        trial = 0;
    }

    void learn(int size, double cost) {
        double bounded = steps[size] < SURE ? cost : Math.min(cost, HICCUP * relative[size]);
        steps[size] = Math.min(steps[size] + 1, MEMORY);
        relative[size] += (bounded - relative[size]) / steps[size];
    }
}
