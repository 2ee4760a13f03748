package dev.freshet.wire;

import org.jspecify.annotations.Nullable;

/**
 * What became of the bytes of one record. Immutable.
 *
 * @param <T> record type
 */
public sealed interface Decoded<T> permits Decoded.Value, Decoded.Refused {

    /**
     * The bytes were a record.
     *
     * @param value the record
     */
    record Value<T>(T value) implements Decoded<T> {}

    /**
     * The bytes were no acceptable record. Nothing in here quotes them.
     *
     * @param code one of {@link WireCodes}
     * @param field the offending field, or null
     * @param message one sentence with expected, got and cure
     * @param id id of the request where it could still be read, or null
     * @param schemaId registry id named by the bytes, or null
     */
    record Refused<T>(
            String code, @Nullable String field, String message, @Nullable String id, @Nullable Integer schemaId)
            implements Decoded<T> {}

    /** Returns a refusal without field, id and schema. */
    static <T> Decoded<T> refused(String code, String message) {
        return new Refused<>(code, null, message, null, null);
    }
}
