package dev.freshet.speculative;

import java.util.Arrays;

/**
 * Decides how many nodes a draft may have by what pays. It starts with plain decoding, tries sizes from the smallest up, and uses the
 * one with the most tokens for each nanosecond. Every draft is charged to an account: what its step took beyond what plain decoding
 * would have taken for the same tokens. The account earns a small share of the time, and gains; a trial waits until the account
 * covers what it may cost, and while the account is overdrawn nothing is drafted. So drafts that do not pay cost no more than that
 * share of the time, whatever the texts and the machine do, and one step beyond.
 *
 * <p>How many guesses are right is learned for all sequences together; what a step costs, for each number of them. It influences
 * speed alone, never text. Confined to the engine thread.
 */
public final class DraftBudget {

    /** Share of the time that drafts may lose. */
    private static final double SHARE = 0.02;

    /** The most that the account holds, in plain steps. */
    private static final double SAVINGS = 64;

    /** By how much a size must beat plain decoding to be used. */
    private static final double MARGIN = 1.03;

    /** Drafts of single sequences that make a trial. */
    private static final int TRIAL = 12;

    private final int[] sizes;
    private final int[] most;
    private final GuessYield[] yields;
    private final DraftCosts[] costs = new DraftCosts[64];
    private PlainCost[] plains = new PlainCost[0];
    private long now;
    private double account;
    private int chosen;
    private int chosenFor;

    /**
     * Creates a budget.
     *
     * @param sizes sizes to choose from in nodes, the root included, ascending; the first must be 1, plain decoding
     * @param most tokens that a draft of each size brings at most: its longest path
     */
    public DraftBudget(int[] sizes, int[] most) {
        if (sizes.length == 0 || sizes[0] != 1 || most.length != sizes.length) {
            throw new IllegalArgumentException(
                    "Cannot budget drafts: expected sizes that begin with 1 and as many longest paths");
        }
        this.sizes = sizes.clone();
        this.most = most.clone();
        yields = new GuessYield[sizes.length];
        Arrays.setAll(yields, i -> new GuessYield());
    }

    /**
     * Nodes that each of so many decoding sequences may draft in the coming step.
     *
     * @param recorded whether {@link #record} will follow; a step that is not measured tries nothing
     */
    public int nodes(int sequences, boolean recorded) {
        chosenFor = recorded ? sequences : -1;
        PlainCost plain = plain(sequences);
        if (account < 0 || recorded && plain.wanted(now)) {
            chosen = 0;
        } else {
            chosen = recorded ? choose(costs(sequences), plain.nanos()) : best(costs(sequences));
        }
        return sizes[chosen];
    }

    /** Learns what the step that followed {@link #nodes} cost and brought. */
    public void record(int sequences, int tokens, long nanos) {
        if (nanos <= 0 || sequences != chosenFor) {
            return;
        }
        now++;
        DraftCosts c = costs(sequences);
        c.clock++;
        PlainCost plain = plain(sequences);
        if (chosen == 0) {
            plain.learn(nanos, now);
            earn(SHARE * nanos, plain.nanos());
            return;
        }
        plain.missed();
        yields[chosen].learn(sequences, tokens);
        c.learn(chosen, nanos / plain.nanos());
        earn(plain.nanos() * tokens / sequences - nanos + SHARE * nanos, plain.nanos());
        if (c.trial == chosen) {
            c.trialLeft -= sequences;
            c.trialSteps++;
            if (c.trialSteps > 1 && (c.trialLeft <= 0 || !couldPay(c, chosen))) {
                c.endTrial(best(c) == chosen);
            }
        }
    }

    private void earn(double nanos, double plain) {
        double limit = Math.max(account, SAVINGS * plain);
        account = Math.min(account + nanos, limit);
    }

    private PlainCost plain(int sequences) {
        if (sequences >= plains.length) {
            plains = Arrays.copyOf(plains, Math.max(sequences + 1, 2 * plains.length));
        }
        if (plains[sequences] == null) {
            plains[sequences] = new PlainCost();
        }
        return plains[sequences];
    }

    /** Costs are kept for each number up to four and for half powers of two beyond. */
    private DraftCosts costs(int sequences) {
        int octave = 31 - Integer.numberOfLeadingZeros(Math.max(1, sequences));
        int half = octave == 0 ? 0 : sequences >> octave - 1 & 1;
        int i = 2 * octave + half;
        if (costs[i] == null) {
            costs[i] = new DraftCosts(sizes.length);
        }
        return costs[i];
    }

    private int choose(DraftCosts c, double plain) {
        int best = best(c);
        if (c.trial == 0) {
            int size = nextTrial(c, best);
            c.startTrial(size, TRIAL);
            yields[size].fade(TRIAL);
        }
        // A trial whose next step is not covered waits; what is known to pay goes on.
        return c.trial > 0 && account >= plain * (expectedCost(c, c.trial) - knownYield(c.trial)) ? c.trial : best;
    }

    /** The size with the best value, 0 when none beats plain decoding by the margin. */
    private int best(DraftCosts c) {
        int best = 0;
        double value = MARGIN;
        for (int i = 1; i < sizes.length; i++) {
            if (value(c, i) > value) {
                best = i;
                value = value(c, i);
            }
        }
        return best;
    }

    /** Tokens for the time of a plain step; 0 when the size has not been measured. */
    private double value(DraftCosts c, int size) {
        return size == 0 ? 1 : c.steps[size] == 0 ? 0 : yields[size].mean() / c.relative[size];
    }

    /** A size worth measuring now, or 0. */
    private int nextTrial(DraftCosts c, int best) {
        int known = 0;
        while (known + 1 < sizes.length && c.steps[known + 1] > 0) {
            known++;
        }
        if (known + 1 < sizes.length && c.due(known + 1) && couldPay(c, known + 1)) {
            return known + 1;
        }
        int second = 0;
        for (int i = 1; i <= known; i++) {
            boolean near = best == 0 || Math.abs(i - best) == 1;
            if (near && i != best && c.due(i) && (second == 0 || value(c, i) > value(c, second))) {
                second = i;
            }
        }
        return second;
    }

    /**
     * Whether a size would pay if its guesses were as good as they can be: nodes are sorted by how likely they are, so another node
     * brings no more than the last ones did, and a larger draft costs no less than a smaller one.
     */
    private boolean couldPay(DraftCosts c, int size) {
        double yield = most[size];
        for (int i = 1; i < size; i++) {
            if (yields[i].drafts() >= TRIAL) {
                double last = yields[i].mean() - (i == 1 ? 1 : Math.min(yields[i - 1].mean(), yields[i].mean()));
                double each = (last + yields[i].doubt()) / (sizes[i] - sizes[i - 1]);
                yield = Math.min(yield, yields[i].mean() + yields[i].doubt() + each * (sizes[size] - sizes[i]));
            }
        }
        double cost = 1;
        for (int i = 1; i <= size; i++) {
            cost = c.steps[i] > 1 ? Math.max(1, c.relative[i]) : cost;
        }
        return yield / cost > Math.max(MARGIN, value(c, best(c)));
    }

    /** Upper estimate of the cost of a step in plain steps: as measured, or in proportion to the rows of the next smaller size. */
    private double expectedCost(DraftCosts c, int size) {
        int known = size - 1;
        while (known > 0 && c.steps[known] == 0) {
            known--;
        }
        double inProportion = (known == 0 ? 1 : c.relative[known]) * sizes[size] / sizes[known];
        return c.steps[size] == 0 ? inProportion : Math.min(inProportion, c.relative[size]);
    }

    /** Tokens that a draft of this size surely brings: those of the next smaller size that has been measured. */
    private double knownYield(int size) {
        for (int i = size; i > 0; i--) {
            if (yields[i].drafts() >= TRIAL) {
                return Math.max(1, yields[i].mean() - yields[i].doubt());
            }
        }
        return 1;
    }
}
