package dev.freshet.engine;

import org.jspecify.annotations.Nullable;

/**
 * What ended a sequence with {@link FinishReason#STOP}. Immutable.
 *
 * @param text matched stop string, or null
 * @param tokenId matched stop or end token, or null
 */
public record StopMatch(@Nullable String text, @Nullable Integer tokenId) {}
