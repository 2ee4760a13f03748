package dev.freshet.wire;

import org.jspecify.annotations.Nullable;

/**
 * Refuses what need not be looked at: nothing, and too much.
 *
 * @param type for messages
 * @param bad code of a record without bytes
 * @param maxBytes longest record
 * @param body decodes what is left, at least one byte
 */
record LimitedDecoder<T>(RecordType<?> type, String bad, int maxBytes, Body<T> body) implements RecordDecoder<T> {

    /** Decodes bytes that are there and not too many. */
    interface Body<T> {
        Decoded<T> decode(byte[] bytes);
    }

    @Override
    public Decoded<T> decode(byte @Nullable [] bytes) {
        if (bytes == null || bytes.length == 0) {
            return Decoded.refused(
                    bad,
                    "Cannot decode " + type + ": expected bytes, got " + (bytes == null ? "a tombstone" : "none")
                            + ". Send the record with a value.");
        }
        if (bytes.length > maxBytes) {
            return Decoded.refused(
                    WireCodes.RECORD_TOO_LARGE,
                    "Cannot decode " + type + ": expected at most " + maxBytes + " bytes, got " + bytes.length
                            + ". Send a shorter record, or raise the record limit.");
        }
        return body.decode(bytes);
    }
}
