package dev.freshet.kernel;

import dev.freshet.request.SamplingParams;

/**
 * How the tokens of one sequence are drawn in one step, docs/maths.md §4.1. Rows of a sequence share it. The arrays are not copied and
 * stay as they are until the step ends.
 *
 * @param params sampling parameters
 * @param biasIds [b] ids of logit_bias
 * @param biases [b] what is added to their logits
 * @param seen [2 s] where penalties ask for it: each token of prompt and output, and how often the output holds it
 * @param forbidden ids that a row may forbid
 */
public record DrawRule(SamplingParams params, int[] biasIds, double[] biases, int[] seen, int[] forbidden) {}
