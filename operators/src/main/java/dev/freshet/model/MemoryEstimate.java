package dev.freshet.model;

import dev.freshet.attention.StateLayout;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.tensor.DType;
import dev.freshet.tensor.TensorInfo;
import dev.freshet.tensor.WeightsDirectory;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The memory that a model will claim on the CPU, known before it is loaded. Immutable.
 *
 * @param weights bytes of the packed weights, without the padding of the last panel of each matrix
 * @param slots bytes of the states of all sequences
 * @param activations bytes of the rows of one step, logits included
 */
public record MemoryEstimate(long weights, long slots, long activations) {

    /** What activations, code and the virtual machine may add to weights and slots. */
    public static final long MARGIN = 300L << 20;

    /** Sums up what a decoder with these options claims. */
    public static MemoryEstimate of(ModelConfig config, WeightsDirectory weights, DecoderOptions options) {
        int context =
                options.context() > 0 ? Math.min(options.context(), config.contextLength()) : config.contextLength();
        List<AttentionSpec> specs = config.specs(context);
        long slots = options.slots() * new StateLayout(specs).bytes();
        return new MemoryEstimate(
                packed(config, weights, options.weights()), slots, activations(config, specs, options));
    }

    private static long packed(ModelConfig config, WeightsDirectory weights, @Nullable WeightFormat format) {
        long sum = 0;
        for (String name : weights.names()) {
            if (config.tied() && name.equals("lm_head.weight")) {
                continue;
            }
            TensorInfo info = weights.info(name);
            WeightFormat own = info.dtype() == DType.BF16 ? WeightFormat.BF16 : WeightFormat.F32;
            boolean matrix = info.shape().length == 2;
            sum += matrix ? bytes(format == null ? own : format, info) : 4 * info.elements();
        }
        return sum;
    }

    private static long bytes(WeightFormat format, TensorInfo info) {
        return switch (format) {
            case F32 -> 4 * info.elements();
            case BF16 -> 2 * info.elements();
            case INT8 -> info.elements() + 4 * info.shape()[0];
        };
    }

    private static long activations(ModelConfig c, List<AttentionSpec> specs, DecoderOptions options) {
        long row = 2L * c.hidden()
                + (2L * c.heads() + 2L * c.kvHeads()) * c.headDim()
                + 3L * c.intermediate()
                + specs.stream().mapToLong(AttentionSpec::recordFloats).sum();
        return 4 * (options.maxRows() * row + options.maxLogitRows() * (2L * c.hidden() + c.vocabSize()));
    }

    /** The most memory that the process should need, pages of the weights' file aside: those are the page cache's. */
    public long peak() {
        return weights + slots + Math.max(MARGIN, activations + MARGIN / 2);
    }
}
