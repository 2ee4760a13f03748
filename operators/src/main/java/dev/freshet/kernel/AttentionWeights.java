package dev.freshet.kernel;

import org.jspecify.annotations.Nullable;

/**
 * The learned and fixed parameters of one attention layer beside its projections; absent ones are null. Immutable.
 *
 * @param queryMap maps stored transposed: RANDOM_EXP [d, F]; SOFTMAX_PAIR [H, d, F/2]; HASH planes [KV, d, rounds · bits]
 * @param keyMap SOFTMAX_PAIR [KV, d, F/2]
 * @param slots SLOTS [N, R]
 * @param logDecay DECAY [KV], not positive
 * @param norm HEAD_NORM [d]
 * @param conv [H, taps], last index is the current token
 * @param alpha weight of the past beside local and convolution
 */
public record AttentionWeights(
        @Nullable Buffer queryMap,
        @Nullable Buffer keyMap,
        @Nullable Buffer slots,
        @Nullable Buffer logDecay,
        @Nullable Buffer norm,
        @Nullable Buffer conv,
        float alpha) {

    /** No parameters, alpha 1. */
    public static final AttentionWeights NONE = new AttentionWeights(null, null, null, null, null, null, 1);
}
