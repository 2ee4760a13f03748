package dev.freshet.model;

import dev.freshet.kernel.WeightFormat;
import org.jspecify.annotations.Nullable;

/**
 * How a decoder is loaded. Immutable.
 *
 * @param slots sequences that hold state at the same time
 * @param maxRows most rows of one forward pass
 * @param maxLogitRows most rows with logits among them
 * @param context longest sequence where the model has a limit; 0 for the model's own
 * @param weights format in memory, or null for the file's own precision
 */
public record DecoderOptions(int slots, int maxRows, int maxLogitRows, int context, @Nullable WeightFormat weights) {

    /** Enough rows for slots drafting up to 16 nodes each, at most 512 together, beside 256 prompt tokens. */
    public static DecoderOptions of(int slots) {
        int logitRows = Math.max(slots, Math.min(512, Math.max(64, 16 * slots)));
        return new DecoderOptions(slots, logitRows + 256, logitRows, 0, null);
    }

    /** The same with another context limit. */
    public DecoderOptions withContext(int tokens) {
        return new DecoderOptions(slots, maxRows, maxLogitRows, tokens, weights);
    }

    /** The same with another weight format. */
    public DecoderOptions withWeights(@Nullable WeightFormat format) {
        return new DecoderOptions(slots, maxRows, maxLogitRows, context, format);
    }
}
