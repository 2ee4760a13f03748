package dev.freshet.wire;

import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import org.apache.avro.specific.SpecificRecord;
import org.jspecify.annotations.Nullable;

/** The Confluent wire format: {@code 00}, the registry's schema id (four bytes, big-endian), the binary form. */
final class RegistryFraming {

    private static final int HEADER = 5;
    private static final int MAX_KNOWN = 256;
    private static final int MAX_REFUSED = 4096;
    private static final long REFUSED_NANOS = 60_000_000_000L;

    private RegistryFraming() {}

    /** Reads records of every schema in the registry that resolves to ours. */
    static final class Reader<T extends SpecificRecord> implements LimitedDecoder.Body<T> {
        private final RecordType<T> type;
        private final RegistryClient registry;
        private final LongSupplier nanoTime;
        private final Map<Integer, AvroReader<T>> known = newest(MAX_KNOWN);
        private final Map<Integer, Refusal<T>> refused = newest(MAX_REFUSED);

        Reader(RecordType<T> type, RegistryClient registry, LongSupplier nanoTime) {
            this.type = type;
            this.registry = registry;
            this.nanoTime = nanoTime;
        }

        private record Refusal<T>(long since, Decoded<T> answer) {}

        @Override
        public Decoded<T> decode(byte[] bytes) {
            if (bytes.length < HEADER || bytes[0] != 0) {
                return Decoded.refused(
                        WireCodes.BAD_AVRO,
                        "Cannot decode " + type + ": expected the Confluent wire format (00 and a schema id), got "
                                + bytes.length + " bytes that start otherwise. Write with a registry serializer, or set"
                                + " the topic's format.");
            }
            int id = ByteBuffer.wrap(bytes).getInt(1);
            AvroReader<T> reader = known.get(id);
            if (reader != null) {
                return reader.read(bytes, HEADER, id);
            }
            Refusal<T> before = refused.get(id);
            if (before != null && nanoTime.getAsLong() - before.since < REFUSED_NANOS) {
                return before.answer;
            }
            return lookUp(bytes, id);
        }

        private Decoded<T> lookUp(byte[] bytes, int id) {
            RegistryClient.Lookup found = registry.schema(id);
            Decoded<T> no;
            if (found instanceof RegistryClient.Lookup.Found schema) {
                try {
                    AvroReader<T> reader = new AvroReader<>(type, WriterSchemas.parse(schema.schema(), type));
                    known.put(id, reader);
                    return reader.read(bytes, HEADER, id);
                } catch (WriterSchemas.Unusable e) {
                    no = refuse(WireCodes.SCHEMA_INCOMPATIBLE, e.reason(), id);
                }
            } else if (found instanceof RegistryClient.Lookup.Unusable unusable) {
                no = refuse(WireCodes.SCHEMA_INCOMPATIBLE, unusable.reason(), id);
            } else {
                no = refuse(
                        WireCodes.UNKNOWN_SCHEMA_ID,
                        "expected a schema that the registry has, got id " + id + ". Register the schema first.",
                        id);
            }
            refused.put(id, new Refusal<>(nanoTime.getAsLong(), no));
            return no;
        }

        private Decoded<T> refuse(String code, String what, int id) {
            return new Decoded.Refused<>(code, null, "Cannot decode " + type + ": " + what, null, id);
        }
    }

    /** Writes records of our schema, registered on first use. */
    static final class Writer<T extends SpecificRecord> implements RecordEncoder<T> {
        private final RecordType<T> type;
        private final RegistryClient registry;
        private final String subject;
        private final AvroWriter<T> writer;
        private byte @Nullable [] header;

        Writer(RecordType<T> type, RegistryClient registry, String subject) {
            this.type = type;
            this.registry = registry;
            this.subject = subject;
            this.writer = new AvroWriter<>(type);
        }

        @Override
        public byte[] encode(T value) {
            byte[] prefix = header;
            if (prefix == null) {
                String schema = ReleasedSchemas.load(type, type.versions()).toString();
                int id = registry.register(subject, schema);
                prefix = ByteBuffer.allocate(HEADER).put((byte) 0).putInt(id).array();
                header = prefix;
            }
            return writer.write(prefix, value);
        }
    }

    /** A map that forgets the entry unused for longest. */
    private static <V> Map<Integer, V> newest(int capacity) {
        return new LinkedHashMap<>(16, 0.75f, true) {
            private static final long serialVersionUID = 1L;

            @Override
            protected boolean removeEldestEntry(Map.Entry<Integer, V> eldest) {
                return size() > capacity;
            }
        };
    }
}
