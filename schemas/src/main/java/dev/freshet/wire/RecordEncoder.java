package dev.freshet.wire;

/**
 * Turns records into bytes. Confined to one thread.
 *
 * @param <T> record type
 */
public interface RecordEncoder<T> {

    /**
     * Returns the bytes of a record; equal records give equal bytes.
     *
     * @throws RegistryUnavailable when the schema registry cannot be asked; the caller must wait and try again
     */
    byte[] encode(T value);
}
