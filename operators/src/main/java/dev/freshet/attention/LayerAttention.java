package dev.freshet.attention;

import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.AttentionSpec.FeatureMap;

/**
 * The attention of one layer. Immutable.
 *
 * @param kind method
 * @param augmented whether local attention and causal convolution are added
 */
public record LayerAttention(AttentionKind kind, boolean augmented) {

    /** The layer in terms of kernels; capacity is the longest sequence, used by softmax alone. */
    public AttentionSpec spec(AttentionOptions o, int heads, int kvHeads, int headDim, int capacity) {
        FeatureMap map = kind.map();
        boolean learned = map == FeatureMap.RANDOM_EXP || map == FeatureMap.SOFTMAX_PAIR;
        int features = learned ? (o.featureDim() == 0 ? 2 * headDim : o.featureDim()) : headDim;
        return new AttentionSpec(
                kind.past(),
                map,
                kind.finish(),
                kind.grouped(augmented),
                kind.local(augmented),
                augmented ? o.convTaps() : 0,
                heads,
                kvHeads,
                headDim,
                features,
                o.groupSize(),
                kind == AttentionKind.SOFTMAX ? capacity : 0,
                o.hashRounds(),
                o.hashBits(),
                o.slots(),
                o.slotPositions());
    }

    /** Name for people: the kind, with "+" when augmented. */
    public String label() {
        return kind.id() + (augmented ? "+" : "");
    }
}
