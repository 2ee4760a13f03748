package dev.freshet.engine;

/** Why a sequence ended; the lower-case names are the record values. */
public enum FinishReason {
    /** A stop token, stop string or end token. */
    STOP,
    /** max_tokens or the model's context length. */
    LENGTH,
    /** Cancelled or past its deadline. */
    ABORT,
    /** A fault of this sequence alone, for example NaN logits. */
    ERROR
}
