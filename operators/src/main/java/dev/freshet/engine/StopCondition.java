package dev.freshet.engine;

import org.jspecify.annotations.Nullable;

/** Decides from the accepted tokens whether a sequence is over. Confined to the engine thread. */
@FunctionalInterface
public interface StopCondition {

    /** Never stops. */
    StopCondition NONE = token -> null;

    /**
     * Sees every generated token once, in order, before the engine commits it. Stop tokens and end tokens are the
     * engine's own business and are passed on too.
     *
     * @return the match that ends the sequence with this token, or null to go on
     */
    @Nullable
    StopMatch accept(int token);
}
