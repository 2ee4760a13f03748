package dev.freshet.tokenizer;

/**
 * One step of a tokenizer's decoder, fed with the pieces of one sequence in order. What it knows for certain goes to the next step
 * at once, the rest when it becomes certain or at the end. Each piece costs time in proportion to its length. Confined to the
 * engine thread.
 */
interface DecodeStage {

    /** Takes the next piece. */
    void accept(String piece, Next next);

    /** Takes the end of the sequence. */
    default void finish(Next next) {}

    /** Where a stage puts its pieces. */
    @FunctionalInterface
    interface Next {
        void accept(String piece);
    }
}
