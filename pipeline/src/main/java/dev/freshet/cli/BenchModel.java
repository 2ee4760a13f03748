package dev.freshet.cli;

import dev.freshet.attention.LayerAttention;
import dev.freshet.attention.StateLayout;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelConfig;
import dev.freshet.tensor.TensorSource;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A model to be measured, and what one step of it costs at least by arithmetic. Immutable.
 *
 * @param name for people
 * @param config shapes
 * @param tensors weights, of a directory or made up
 * @param format weights in memory, or null for their own precision
 * @param endTokens ids that end a text
 */
record BenchModel(
        String name, ModelConfig config, TensorSource tensors, @Nullable WeightFormat format, Set<Integer> endTokens) {

    /** Rows of one forward pass beside the decoding ones: what an engine gives to prompts. */
    static final int PREFILL_ROWS = 256;

    /** Loads the weights for plain decoding, and for one draft of so many rows. */
    Decoder load(Kernels kernels, int slots, int draftRows, int context) {
        DecoderOptions options = new DecoderOptions(
                slots, Math.max(slots, PREFILL_ROWS), Math.max(slots, Math.max(draftRows, 1)), context, format);
        return Decoder.load(config, tensors, kernels, options, layers -> {});
    }

    /** Loads the weights with room for drafts, as an engine has it. */
    Decoder loadForDrafts(Kernels kernels, int slots, int context) {
        DecoderOptions options = DecoderOptions.of(slots).withContext(context).withWeights(format);
        return Decoder.load(config, tensors, kernels, options, layers -> {});
    }

    /** Attention kinds with their number of layers. */
    String attention() {
        return config.layers().stream()
                .collect(Collectors.groupingBy(
                        LayerAttention::label, java.util.LinkedHashMap::new, Collectors.counting()))
                .entrySet()
                .stream()
                .map(e -> e.getKey() + " in " + e.getValue() + " layers")
                .collect(Collectors.joining(", "));
    }

    /** Bytes of the state of one sequence of this length. */
    long stateBytes(int length) {
        return new StateLayout(config.specs(Math.max(1, length))).bytes();
    }

    private long layerParameters() {
        long q = (long) config.heads() * config.headDim();
        long kv = (long) config.kvHeads() * config.headDim();
        long mlp = (config.architecture() == ModelConfig.Architecture.LLAMA ? 3L : 2L) * config.intermediate();
        return config.layers().size() * (config.hidden() * (2 * q + 2 * kv + mlp));
    }

    private long headParameters() {
        return (long) config.vocabSize() * config.hidden();
    }

    /** Bytes of weights that a step with logits reads, when it reads each once: all but an embedding table of its own. */
    long weightBytes(Decoder decoder) {
        long tables = config.tied() ? 1 : 2;
        long packed = layerParameters() + tables * headParameters();
        return Math.round((double) decoder.weightBytes() * (layerParameters() + headParameters()) / packed);
    }

    /** Bytes that a decoding step of so many sequences at a depth reads at least: weights once, every state once. */
    long stepBytes(Decoder decoder, int sequences, int depth) {
        return weightBytes(decoder) + sequences * stateBytes(depth);
    }

    /** Floating-point operations of one row at a depth: projections, and attention over state or cache. */
    double rowFlops(int depth, boolean logits) {
        double sum = 2.0 * (layerParameters() + (logits ? headParameters() : 0));
        List<AttentionSpec> specs = config.specs(Math.max(1, depth));
        for (AttentionSpec spec : specs) {
            double keys = spec.past() == AttentionSpec.Past.CACHE ? depth : spec.group() / 2.0;
            double past = spec.past() == AttentionSpec.Past.CACHE ? 0 : spec.pastFloats();
            sum += 2.0 * spec.heads() * (past + 2.0 * keys * spec.headDim());
        }
        return sum;
    }

    /** Format of the weights in memory. */
    String formatName() {
        return format == null ? "as stored" : format.name().toLowerCase(Locale.ROOT);
    }
}
