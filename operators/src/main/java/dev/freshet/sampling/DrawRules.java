package dev.freshet.sampling;

import dev.freshet.kernel.DrawRule;
import dev.freshet.kernel.Drawn;
import dev.freshet.request.SamplingParams;
import java.util.Arrays;
import java.util.Map;

/** Says to a backend that draws tokens itself what {@link Sampler} would do, and takes its answers. */
public final class DrawRules {

    private static final int[] NONE = {};

    private DrawRules() {}

    /**
     * The rule of a sequence at this step.
     *
     * @param history tokens before the step
     * @param forbidden ids that rows may forbid
     */
    public static DrawRule of(SamplingParams params, TokenHistory history, int[] forbidden) {
        int[] ids = new int[params.logitBias().size()];
        double[] biases = new double[ids.length];
        int at = 0;
        for (Map.Entry<Integer, Double> bias : params.logitBias().entrySet()) {
            ids[at] = bias.getKey();
            biases[at++] = bias.getValue();
        }
        return new DrawRule(params, ids, biases, params.penalised() ? seen(history.counts()) : NONE, forbidden);
    }

    private static int[] seen(TokenHistory.Counts counts) {
        int[] seen = new int[2 * counts.slots()];
        int at = 0;
        for (int slot = 0; slot < counts.slots(); slot++) {
            if (!counts.free(slot)) {
                seen[at++] = counts.token[slot];
                seen[at++] = counts.output[slot];
            }
        }
        return Arrays.copyOf(seen, at);
    }

    /** Log-probabilities from what a backend has summed, as {@link Sampler#logprobs} computes them. */
    public static Logprobs logprobs(Drawn drawn) {
        double normaliser = drawn.best() + StrictMath.log(drawn.sum());
        double[] top = new double[drawn.topLogits().length];
        for (int i = 0; i < top.length; i++) {
            top[i] = drawn.topLogits()[i] - normaliser;
        }
        return new Logprobs(drawn.token(), drawn.logit() - normaliser, drawn.topTokens(), top);
    }
}
