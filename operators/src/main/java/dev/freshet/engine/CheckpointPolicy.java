package dev.freshet.engine;

/** What a checkpoint carries of a sequence besides its tokens. */
public enum CheckpointPolicy {
    /** The state of every sequence: nothing is computed again, the checkpoint grows with the model. */
    STATE,
    /** No state: the checkpoint is small, every restored sequence is run through the model again. */
    TOKENS,
    /** State within a number of bytes, for the sequences that spare the most tokens a byte; the others go as tokens. */
    AUTO
}
