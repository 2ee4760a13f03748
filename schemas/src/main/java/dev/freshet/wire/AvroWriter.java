package dev.freshet.wire;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificDatumWriter;
import org.apache.avro.specific.SpecificRecord;
import org.jspecify.annotations.Nullable;

/**
 * Writes a prefix and the binary form of a record. Confined to one thread.
 *
 * @param <T> generated class
 */
final class AvroWriter<T extends SpecificRecord> {

    private final SpecificDatumWriter<T> writer;
    private @Nullable BinaryEncoder encoder;

    AvroWriter(RecordType<T> type) {
        this.writer = new SpecificDatumWriter<>(type.schema(), RecordClasses.INSTANCE);
    }

    byte[] write(byte[] prefix, T value) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(1024);
        out.writeBytes(prefix);
        try {
            BinaryEncoder e = EncoderFactory.get().binaryEncoder(out, encoder);
            encoder = e;
            writer.write(value, e);
            e.flush();
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot write a record to memory.", e);
        }
        return out.toByteArray();
    }
}
