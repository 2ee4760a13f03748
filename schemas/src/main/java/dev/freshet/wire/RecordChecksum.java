package dev.freshet.wire;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.zip.CRC32C;

/**
 * The header with which a reader finds a record that was damaged, or that a client wrote to the wrong topic: CRC32C of topic,
 * NUL, id, NUL and payload, as eight hexadecimal digits.
 */
public final class RecordChecksum {

    /** Name of the header. */
    public static final String NAME = "__llm.crc32c";

    private RecordChecksum() {}

    /** Returns the header of a record; the id is empty for a record without one. */
    public static Header of(String topic, String id, byte[] payload) {
        CRC32C crc = new CRC32C();
        crc.update(topic.getBytes(StandardCharsets.UTF_8));
        crc.update(0);
        crc.update(id.getBytes(StandardCharsets.UTF_8));
        crc.update(0);
        crc.update(payload);
        return Header.of(NAME, String.format(Locale.ROOT, "%08x", crc.getValue()));
    }

    /** Whether a record has the header, and the header fits. */
    public static boolean matches(List<Header> headers, String topic, String id, byte[] payload) {
        return of(topic, id, payload).equals(Header.last(headers, NAME));
    }
}
