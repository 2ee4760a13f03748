package dev.freshet.engine;

import org.jspecify.annotations.Nullable;

/**
 * What a model has computed of a sequence: its recurrent state after the committed tokens. A device may still be copying it: whoever asks
 * for the values waits for them. Immutable by agreement, the arrays are not copied.
 *
 * @param model {@link dev.freshet.model.Model#stateName()} of the model that computed it
 * @param values [model.stateFloats(committed)] the state
 * @param hidden [D] final hidden state of the last committed token, from which Medusa heads draft; null before the first draft
 * @param filled returns when the values are there; may be called on any thread, again and again
 */
public record SequenceState(String model, float[] values, float @Nullable [] hidden, Runnable filled) {

    /** A state that is there. */
    public SequenceState(String model, float[] values, float @Nullable [] hidden) {
        this(model, values, hidden, () -> {});
    }

    @Override
    public float[] values() {
        filled.run();
        return values;
    }

    /** Bytes of the state; does not wait. */
    public long bytes() {
        return 4L * (values.length + (hidden == null ? 0 : hidden.length));
    }
}
