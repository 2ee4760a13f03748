package dev.freshet.request;

import org.jspecify.annotations.Nullable;

/**
 * Why one request cannot be served: a value that becomes a record, never an exception across operators. Immutable.
 *
 * @param code stable code
 * @param field the offending request field, or null
 * @param message one sentence with expected, got and cure; never prompt text
 */
public record RequestError(ErrorCode code, @Nullable String field, String message) {}
