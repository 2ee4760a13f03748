package dev.freshet.model;

import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.AttentionOptions;
import dev.freshet.attention.LayerAttention;
import dev.freshet.kernel.AttentionSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * Shapes and constants of a model. Immutable.
 *
 * @param architecture body of the decoder
 * @param hidden D
 * @param heads H
 * @param kvHeads KV, a divisor of H
 * @param headDim d
 * @param intermediate width of the MLP
 * @param vocabSize V
 * @param maxPositions trained context length
 * @param normEps added to the variance
 * @param rope rotary embedding; unused by GPT-2
 * @param tied whether the output head is the embedding table
 * @param attention numbers of the linear kinds
 * @param layers attention of each layer
 * @param medusaHeads number of Medusa heads, 0 for none
 * @param medusaTree choices of the candidate tree, each a path of ranks
 */
public record ModelConfig(
        Architecture architecture,
        int hidden,
        int heads,
        int kvHeads,
        int headDim,
        int intermediate,
        int vocabSize,
        int maxPositions,
        double normEps,
        RopeConfig rope,
        boolean tied,
        AttentionOptions attention,
        List<LayerAttention> layers,
        int medusaHeads,
        List<List<Integer>> medusaTree) {

    /** The body of the decoder. */
    public enum Architecture {
        /** RMSNorm, rotary embedding, SwiGLU. */
        LLAMA,
        /** LayerNorm, learned positions, GELU, biases. */
        GPT2
    }

    public ModelConfig {
        layers = List.copyOf(layers);
        medusaTree = medusaTree.stream().map(List::copyOf).toList();
    }

    /** Whether every layer keeps a state of fixed size. */
    public boolean constantState() {
        return layers.stream().noneMatch(layer -> layer.kind() == AttentionKind.SOFTMAX);
    }

    /** Longest sequence: the trained context where a layer caches or positions are learned, else unbounded. */
    public int contextLength() {
        return architecture == Architecture.GPT2 || !constantState() ? maxPositions : Integer.MAX_VALUE;
    }

    /** Tokens between two updates of the state; chunks and drafts end there. Unbounded when every layer is softmax. */
    public int groupSize() {
        boolean cachesOnly = layers.stream().allMatch(layer -> layer.kind() == AttentionKind.SOFTMAX);
        return cachesOnly ? Integer.MAX_VALUE : attention.groupSize();
    }

    /** The layers in terms of kernels, for sequences of at most so many tokens. */
    public List<AttentionSpec> specs(int context) {
        List<AttentionSpec> specs = new ArrayList<>();
        for (LayerAttention layer : layers) {
            specs.add(layer.spec(attention, heads, kvHeads, headDim, context));
        }
        return specs;
    }
}
