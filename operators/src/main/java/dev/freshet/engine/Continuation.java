package dev.freshet.engine;

import org.jspecify.annotations.Nullable;

/**
 * A sequence that ended, kept so that another goes on from it as if both were one. Immutable by agreement, the arrays are not copied.
 *
 * @param ids [n] prompt and output; a token that ended the output is not among them
 * @param committed tokens of them that the model has run: n, or n - 1 where the last one was drawn and not run
 * @param state the model's state after them, or null when the tokens have to do
 */
public record Continuation(int[] ids, int committed, @Nullable SequenceState state) {

    /** What a sequence goes on from that begins by itself. */
    public static final Continuation NOTHING = new Continuation(new int[0], 0, null);

    /** The same without a state. */
    public Continuation withoutState() {
        return new Continuation(ids, committed, null);
    }

    /** Bytes of tokens and state. */
    public long bytes() {
        return 4L * ids.length + (state == null ? 0 : state.bytes());
    }
}
