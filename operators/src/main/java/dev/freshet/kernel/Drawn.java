package dev.freshet.kernel;

/**
 * A drawn token and, where log-probabilities are asked for, what they are made of. Immutable by agreement.
 *
 * @param token the token, or -1 for logits with a NaN or +Inf or with nothing but -Inf
 * @param best largest processed logit
 * @param sum sum of e^(logit - best) over the vocabulary in order of id
 * @param logit processed logit of the token
 * @param topTokens [k] most probable tokens, most probable first, equal ones by id
 * @param topLogits [k] their processed logits
 */
public record Drawn(int token, double best, double sum, double logit, int[] topTokens, double[] topLogits) {

    private static final int[] NO_TOKENS = {};
    private static final double[] NO_LOGITS = {};

    /** A token without log-probabilities. */
    public static Drawn of(int token) {
        return new Drawn(token, 0, 0, 0, NO_TOKENS, NO_LOGITS);
    }
}
