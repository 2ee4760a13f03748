package dev.freshet.operator;

import dev.freshet.wire.Decoded;
import dev.freshet.wire.Header;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.specific.SpecificRecord;

/** Layouts that several serializers share. */
final class EnvelopeBytes {

    private EnvelopeBytes() {}

    static void write(Origin origin, ByteWriter out) {
        out.text(origin.topic())
                .int32(origin.partition())
                .int64(origin.offset())
                .int64(origin.timestamp())
                .bytes(origin.key())
                .int32(origin.headers().size());
        for (Header header : origin.headers()) {
            out.text(header.name()).bytes(header.value());
        }
    }

    static Origin readOrigin(ByteReader in) throws IOException {
        String topic = in.presentText();
        int partition = in.int32();
        long offset = in.int64();
        long timestamp = in.int64();
        byte[] key = in.bytes();
        int count = in.count(8);
        List<Header> headers = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            headers.add(new Header(in.presentText(), in.bytes()));
        }
        return new Origin(topic, partition, offset, timestamp, key, List.copyOf(headers));
    }

    /**
     * A generated record in its self-describing Avro form, which later versions of the schema still read.
     *
     * @param <T> generated class
     */
    static final class Avro<T extends SpecificRecord> {

        private final RecordEncoder<T> encoder;
        private final RecordDecoder<T> decoder;

        Avro(RecordType<T> type) {
            WireFormat format = WireFormat.of("avro", WireOptions.defaults().withMaxBytes(32 << 20));
            this.encoder = format.encoder(type, "");
            this.decoder = format.decoder(type);
        }

        void write(T record, ByteWriter out) {
            out.bytes(encoder.encode(record));
        }

        T read(ByteReader in) throws IOException {
            Decoded<T> decoded = decoder.decode(in.presentBytes());
            if (decoded instanceof Decoded.Value<T> value) {
                return value.value();
            }
            throw new IOException(
                    "Cannot read a record between operators: " + ((Decoded.Refused<T>) decoded).message());
        }
    }
}
