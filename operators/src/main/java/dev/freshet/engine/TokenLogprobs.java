package dev.freshet.engine;

/**
 * Log-probabilities at one generated position, of the distribution after bias and penalties, before temperature and cuts. Immutable.
 *
 * @param token chosen token
 * @param logprob natural logarithm of its probability
 * @param topTokens [k] most probable tokens, most probable first
 * @param topLogprobs [k] their log-probabilities
 */
public record TokenLogprobs(int token, double logprob, int[] topTokens, double[] topLogprobs) {}
