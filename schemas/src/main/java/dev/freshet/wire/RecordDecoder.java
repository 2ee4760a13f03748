package dev.freshet.wire;

import org.jspecify.annotations.Nullable;

/**
 * Turns bytes into records. Confined to one thread.
 *
 * @param <T> record type
 */
public interface RecordDecoder<T> {

    /**
     * Decodes one record; whatever the bytes are, the result is a value.
     *
     * @param bytes the record, or null for a tombstone; not kept
     * @throws RegistryUnavailable when the schema registry cannot be asked: nothing is known about the bytes, so the caller
     *     must wait and decode them again
     */
    Decoded<T> decode(byte @Nullable [] bytes);
}
