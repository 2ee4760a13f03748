package dev.freshet.engine;

import org.jspecify.annotations.Nullable;

/**
 * What a model has computed of a sequence: its recurrent state after the committed tokens. Immutable by agreement, the arrays are
 * not copied.
 *
 * @param model {@link dev.freshet.model.Model#stateName()} of the model that computed it
 * @param values [model.stateFloats(committed)] the state
 * @param hidden [D] final hidden state of the last committed token, from which Medusa heads draft; null before the first draft
 */
public record SequenceState(String model, float[] values, float @Nullable [] hidden) {

    /** Bytes of the state. */
    public long bytes() {
        return 4L * (values.length + (hidden == null ? 0 : hidden.length));
    }
}
