package dev.freshet.model;

import dev.freshet.kernel.AttentionWeights;
import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Matrix;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * All parameters of a decoder in the memory of its backend. Immutable.
 *
 * @param embedding [V, D]
 * @param positions [n, D], GPT-2 alone
 * @param layers one entry for each layer
 * @param finalNorm norm before the output head
 * @param output [V, D]
 * @param medusa Medusa heads
 */
record DecoderWeights(
        Matrix embedding,
        @Nullable Matrix positions,
        List<Layer> layers,
        Norm finalNorm,
        Matrix output,
        List<MedusaHead> medusa) {

    /** Weight and, for LayerNorm, bias, both [D]. */
    record Norm(Buffer weight, @Nullable Buffer bias) {}

    /** Matrix [n, k] and optional bias [n]. */
    record Linear(Matrix weight, @Nullable Buffer bias) {}

    /**
     * One layer.
     *
     * @param attentionNorm norm before attention
     * @param qkv [(H + 2 KV) d, D] queries, keys, values in this order
     * @param out [D, H d]
     * @param mlpNorm norm before the MLP
     * @param mlpIn [2 I, D] gate, then up; GPT-2 [I, D]
     * @param mlpOut [D, I]
     * @param attention parameters of the attention kind
     * @param gate gate projection of gla (low rank) and gated_deltanet
     */
    record Layer(
            Norm attentionNorm,
            Linear qkv,
            Linear out,
            Norm mlpNorm,
            Linear mlpIn,
            Linear mlpOut,
            AttentionWeights attention,
            @Nullable Gate gate) {}

    /**
     * Gate projection from the normalised hidden state.
     *
     * @param first gla [rank, D]; gated_deltanet [2 KV, D] betas, then decays
     * @param second gla [KV d, rank]; else null
     * @param aLog gated_deltanet [KV]; else null
     * @param dtBias gated_deltanet [KV]; else null
     */
    record Gate(Matrix first, @Nullable Linear second, @Nullable Buffer aLog, @Nullable Buffer dtBias) {}

    /** x + SiLU(W x + b), then [V, D]. */
    record MedusaHead(Linear residual, Matrix output) {}

    /** Memory of all matrices. */
    long matrixBytes() {
        long sum = embedding.bytes() + (output == embedding ? 0 : output.bytes());
        sum += positions == null ? 0 : positions.bytes();
        for (Layer layer : layers) {
            sum += layer.qkv.weight.bytes()
                    + layer.out.weight.bytes()
                    + layer.mlpIn.weight.bytes()
                    + layer.mlpOut.weight.bytes();
        }
        for (MedusaHead head : medusa) {
            sum += head.residual.weight.bytes() + head.output.bytes();
        }
        return sum;
    }
}
