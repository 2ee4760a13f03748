package dev.freshet.engine;

import java.util.Set;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Sizes and fixed inputs of an engine. Immutable.
 *
 * @param queueLimit sequences that may wait for a slot
 * @param prefillTokens prompt tokens run in one step beside the decoding sequences
 * @param endTokens ids that end a sequence unless its request ignores them
 * @param stepTimer nanoseconds of a monotonic clock, by which drafts are sized in AUTO; without one they have full size
 */
public record EngineConfig(
        int queueLimit, int prefillTokens, Set<Integer> endTokens, @Nullable LongSupplier stepTimer) {

    public EngineConfig {
        endTokens = Set.copyOf(endTokens);
    }

    /** Returns the defaults for a number of slots: a queue of four times as many, 256 prompt tokens a step, no timer. */
    public static EngineConfig of(int slots, Set<Integer> endTokens) {
        return new EngineConfig(4 * slots, 256, endTokens, null);
    }

    /** The same with a clock. */
    public EngineConfig withStepTimer(LongSupplier timer) {
        return new EngineConfig(queueLimit, prefillTokens, endTokens, timer);
    }
}
