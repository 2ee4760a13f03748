package dev.freshet.engine;

/**
 * Sizes of an engine. Immutable.
 *
 * @param slots sequences that decode together
 * @param queueLimit sequences that may wait for a slot
 * @param prefillTokens prompt tokens run in one step beside the decoding sequences
 * @param endTokens ids that end a sequence unless its request ignores them
 */
public record EngineConfig(int slots, int queueLimit, int prefillTokens, java.util.Set<Integer> endTokens) {

    public EngineConfig {
        endTokens = java.util.Set.copyOf(endTokens);
    }

    /** Returns the defaults for a number of slots: a queue of four times as many, 256 prompt tokens a step. */
    public static EngineConfig of(int slots, java.util.Set<Integer> endTokens) {
        return new EngineConfig(slots, 4 * slots, 256, endTokens);
    }
}
