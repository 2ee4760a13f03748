package dev.freshet.wire;

import dev.freshet.wire.BoundedDecoder.BadBinary;
import dev.freshet.wire.BoundedDecoder.BadText;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.io.ResolvingDecoder;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.avro.specific.SpecificRecord;
import org.jspecify.annotations.Nullable;

/**
 * Reads the binary form of one writer's schema into a generated class. Confined to one thread.
 *
 * @param <T> generated class
 */
final class AvroReader<T extends SpecificRecord> {

    private final RecordType<T> type;
    private final Fields<T> reader;

    AvroReader(RecordType<T> type, Schema writer) {
        this.type = type;
        this.reader = new Fields<>(writer, type.schema());
    }

    /** Decodes the bytes from an offset to their end. */
    Decoded<T> read(byte[] bytes, int offset, @Nullable Integer schemaId) {
        BoundedDecoder in = new BoundedDecoder(bytes, offset);
        reader.begin();
        try {
            T value = reader.read(null, in);
            if (in.remainingBytes() > 0) {
                throw new BadBinary("expected the end of the record, got " + in.remainingBytes() + " more bytes (byte "
                        + in.position() + ")");
            }
            return new Decoded.Value<>(value);
        } catch (BadText e) {
            return refuse(WireCodes.INVALID_UTF8, reader.field, e.getMessage() + ". Send text as UTF-8.", schemaId);
        } catch (BadBinary e) {
            return refuse(WireCodes.BAD_AVRO, null, e.getMessage() + ". Check the producer's serializer.", schemaId);
        } catch (IOException | RuntimeException e) {
            // Avro reports damage with many exception types, and some of their messages quote the data.
            String what = "expected the fields of the writer's schema, got other bytes (byte " + in.position() + ", "
                    + e.getClass().getSimpleName() + "). Check the producer's serializer.";
            return refuse(WireCodes.BAD_AVRO, null, what, schemaId);
        }
    }

    private Decoded<T> refuse(String code, @Nullable String field, String what, @Nullable Integer schemaId) {
        return new Decoded.Refused<>(code, field, "Cannot decode " + type + ": " + what, reader.id, schemaId);
    }

    /** Remembers how far it came, for the refusal. */
    private static final class Fields<T extends SpecificRecord> extends SpecificDatumReader<T> {

        private int depth;
        private @Nullable String field;
        private @Nullable String id;

        Fields(Schema writer, Schema reader) {
            super(writer, reader, RecordClasses.INSTANCE);
        }

        void begin() {
            depth = 0;
            field = null;
            id = null;
        }

        @Override
        protected void readField(
                Object record, Schema.Field f, @Nullable Object old, ResolvingDecoder in, @Nullable Object state)
                throws IOException {
            boolean top = depth == 0;
            if (top) {
                field = f.name();
            }
            depth++;
            super.readField(record, f, old, in, state);
            depth--;
            if (top && f.name().equals("id") && ((SpecificRecord) record).get(f.pos()) instanceof String text) {
                id = text;
            }
        }

        /** Avro's own does some work for each block, and a hostile record can have as many blocks as entries. */
        @Override
        protected Object readArray(@Nullable Object old, Schema expected, ResolvingDecoder in) throws IOException {
            Schema element = expected.getElementType();
            List<Object> all = new ArrayList<>();
            for (long count = in.readArrayStart(); count > 0; count = in.arrayNext()) {
                for (long i = 0; i < count; i++) {
                    all.add(readWithoutConversion(null, element, in));
                }
            }
            return all;
        }

        /** Keeps the order of the entries, so that what was read is written the same. */
        @Override
        protected Object readMap(@Nullable Object old, Schema expected, ResolvingDecoder in) throws IOException {
            Schema value = expected.getValueType();
            Map<String, Object> all = new LinkedHashMap<>();
            for (long count = in.readMapStart(); count > 0; count = in.mapNext()) {
                for (long i = 0; i < count; i++) {
                    all.put(in.readString(), readWithoutConversion(null, value, in));
                }
            }
            return all;
        }
    }
}
