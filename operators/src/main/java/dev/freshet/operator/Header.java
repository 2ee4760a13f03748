package dev.freshet.operator;

import org.jspecify.annotations.Nullable;

/**
 * One header of a record. Immutable; the array is shared and must not be changed.
 *
 * @param name its name; names may repeat
 * @param value its bytes, or null
 */
public record Header(String name, byte @Nullable [] value) {}
