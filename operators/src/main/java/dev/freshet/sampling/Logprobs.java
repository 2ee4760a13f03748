package dev.freshet.sampling;

/**
 * Log-probabilities at one position, of the distribution after bias and penalties, before temperature and cuts. Immutable.
 *
 * @param token chosen token
 * @param logprob natural logarithm of its probability
 * @param topTokens [k] most probable tokens, most probable first, equal ones by id
 * @param topLogprobs [k] their log-probabilities
 */
public record Logprobs(int token, double logprob, int[] topTokens, double[] topLogprobs) {}
