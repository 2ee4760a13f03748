package dev.freshet.wire;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.specific.SpecificRecord;

/** Avro's single-object encoding: {@code C3 01}, the writer's CRC-64-AVRO fingerprint (little-endian), the binary form. */
final class SingleObject {

    private static final int MAGIC_0 = 0xC3;
    private static final int MAGIC_1 = 0x01;
    private static final int HEADER = 10;

    private SingleObject() {}

    /** Reads records of every released schema. */
    static final class Reader<T extends SpecificRecord> implements LimitedDecoder.Body<T> {
        private final RecordType<T> type;
        private final Map<Long, AvroReader<T>> readers = new HashMap<>();

        Reader(RecordType<T> type) {
            this.type = type;
            for (Map.Entry<Long, Schema> e : ReleasedSchemas.byFingerprint(type).entrySet()) {
                readers.put(e.getKey(), new AvroReader<>(type, e.getValue()));
            }
        }

        @Override
        public Decoded<T> decode(byte[] bytes) {
            if (bytes.length < HEADER || (bytes[0] & 0xFF) != MAGIC_0 || bytes[1] != MAGIC_1) {
                return Decoded.refused(
                        WireCodes.BAD_AVRO,
                        "Cannot decode " + type
                                + ": expected Avro single-object encoding (C3 01 and a fingerprint), got "
                                + bytes.length
                                + " bytes that start otherwise. Write with Avro's BinaryMessageEncoder, or"
                                + " set the topic's format.");
            }
            long fingerprint =
                    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(2);
            AvroReader<T> reader = readers.get(fingerprint);
            if (reader == null) {
                return Decoded.refused(
                        WireCodes.UNKNOWN_SCHEMA_ID,
                        "Cannot decode " + type + ": expected the fingerprint of one of " + type.versions()
                                + " released schemas, got " + String.format("%016x", fingerprint)
                                + ". Write with a released schema, or use avro-registry.");
            }
            return reader.read(bytes, HEADER, null);
        }
    }

    /** Writes records of the newest schema. */
    static final class Writer<T extends SpecificRecord> implements RecordEncoder<T> {
        private final AvroWriter<T> writer;
        private final byte[] header;

        Writer(RecordType<T> type) {
            writer = new AvroWriter<>(type);
            header = ByteBuffer.allocate(HEADER)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .put((byte) MAGIC_0)
                    .put((byte) MAGIC_1)
                    .putLong(SchemaNormalization.parsingFingerprint64(type.schema()))
                    .array();
        }

        @Override
        public byte[] encode(T value) {
            return writer.write(header, value);
        }
    }
}
