package dev.freshet.speculative;

/** Tokens that one draft of a size brings on average, of late. Confined to the engine thread. */
final class GuessYield {

    /** Drafts that the average remembers. */
    private static final double MEMORY = 256;

    private double tokens;
    private double drafts;

    /** Learns from a step with so many drafts and tokens. */
    void learn(int sequences, int stepTokens) {
        double keep = Math.max(0.5, 1 - sequences / MEMORY);
        tokens = keep * tokens + stepTokens;
        drafts = keep * drafts + sequences;
    }

    /** Lets what was learned count as no more than so many drafts. */
    void fade(int most) {
        double keep = Math.min(1, most / Math.max(1, drafts));
        tokens *= keep;
        drafts *= keep;
    }

    /** Drafts learned from, the forgotten ones left out. */
    double drafts() {
        return drafts;
    }

    /** Mean tokens of a draft, at least 1. */
    double mean() {
        return drafts == 0 ? 1 : tokens / drafts;
    }

    /** About one standard error of the mean. */
    double doubt() {
        return 0.7 / Math.sqrt(Math.max(1, drafts));
    }
}
