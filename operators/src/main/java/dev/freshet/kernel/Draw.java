package dev.freshet.kernel;

/**
 * One token to be drawn from a row of logits. Immutable by agreement.
 *
 * @param logitRow row of the logits
 * @param rule rule of its sequence
 * @param position index of the drawn token in prompt + output, the counter of the random numbers
 * @param path tokens between the sequence and this row: those of its draft from behind the root to the row itself
 * @param forbids whether the ids that the rule names are forbidden here
 */
public record Draw(int logitRow, DrawRule rule, long position, int[] path, boolean forbids) {

    /** Longest path. */
    public static final int LONGEST_PATH = 64;

    /** Whether the logits are changed before a token is chosen. */
    public boolean edits() {
        return rule.biasIds().length > 0 || rule.params().penalised() || forbids && rule.forbidden().length > 0;
    }
}
