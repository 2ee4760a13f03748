package dev.freshet.speculative;

/**
 * Time of a step of plain decoding with one number of sequences, measured again from time to time while drafts run: often while it
 * changes, seldom once it stays. Confined to the engine thread.
 */
final class PlainCost {

    /** Plain steps before anything else, and of every later measurement. */
    private static final int BURST = 4;

    private static final int MEMORY = 16;
    private static final int SHORTEST = 16;
    private static final int LONGEST = 256;
    private static final double SAME = 0.06;
    private static final double HICCUP = 3;

    /** Steps after which a measurement is out of date. */
    private static final long STALE = 4_096;

    private double nanos;
    private int steps;
    private int left = BURST;
    private double before;
    private double burst;
    private int pause = SHORTEST;
    private int missed;
    private long measured;

    /** Nanoseconds of a plain step; 0 before the first. */
    double nanos() {
        return nanos;
    }

    /** Whether the coming step should be a plain one; now counts steps of any kind. */
    boolean wanted(long now) {
        if (left == 0 && now - measured > STALE) {
            again();
        }
        return left > 0;
    }

    /** A step had drafts. */
    void missed() {
        if (++missed >= pause) {
            again();
        }
    }

    private void again() {
        missed = 0;
        left = BURST;
        before = nanos;
        burst = 0;
    }

    /** A step without drafts. */
    void learn(double stepNanos, long now) {
        measured = now;
        double bounded = steps < BURST ? stepNanos : Math.min(stepNanos, HICCUP * nanos);
        steps = Math.min(steps + 1, MEMORY);
        nanos += (bounded - nanos) / steps;
        if (left > 0) {
            burst += bounded / BURST;
            left--;
            if (left == 0 && before > 0) {
                judge();
            }
        }
    }

    private void judge() {
        if (Math.abs(burst / before - 1) < SAME) {
            pause = Math.min(LONGEST, 2 * pause);
        } else {
            pause = SHORTEST;
            nanos = burst;
        }
    }
}
