package dev.freshet.speculative;

/**
 * How many guesses a lookup of one sequence may make. The number grows while guesses are right and falls when they are wrong, and a
 * sequence whose guesses keep being wrong pauses for a while, longer each time: a text that does not repeat itself costs few rows. It
 * influences speed alone, never text. Confined to the engine thread.
 */
public final class LookupPace {

    private static final int FIRST = 4;
    private static final int LONGEST_PAUSE = 32;
    private static final int PATIENCE = 2;

    private int limit = FIRST;
    private int misses;
    private int pause;

    /** Returns the number of guesses for the coming step, 0 to make none; at most as many as given. */
    public int next(int most) {
        if (pause > 0) {
            pause--;
            return 0;
        }
        return Math.min(limit, most);
    }

    /** Learns how many of the guesses of a step were right; guesses is at least 1. */
    public void learn(int guesses, int right) {
        if (right == guesses) {
            limit = Math.max(limit, 2 * guesses);
            misses = 0;
        } else if (right > 0) {
            limit = right + 1;
            misses = 0;
        } else {
            limit = Math.max(1, guesses / 2);
            misses++;
            pause = misses <= PATIENCE ? 0 : Math.min(LONGEST_PAUSE, 1 << Math.min(5, misses - PATIENCE));
        }
    }
}
