package dev.freshet.operator;

import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * Carries an immutable record between operators as bytes with a length in front; a fixed layout, never Java serialization.
 * Confined to one thread.
 *
 * @param <T> record type
 */
abstract class RecordSerializer<T> extends ImmutableSerializer<T> {

    private static final long serialVersionUID = 1L;

    /** Longest record that is read back: far above what a source lets in, far below what could hurt. */
    private static final int LARGEST = 64 << 20;

    abstract void write(T record, ByteWriter out);

    abstract T read(ByteReader in) throws IOException;

    @Override
    public abstract RecordSerializer<T> duplicate();

    @Override
    public void serialize(T record, DataOutputView target) throws IOException {
        ByteWriter out = new ByteWriter();
        write(record, out);
        byte[] bytes = out.toBytes();
        target.writeInt(bytes.length);
        target.write(bytes);
    }

    @Override
    public T deserialize(DataInputView source) throws IOException {
        ByteReader in = new ByteReader(readBytes(source));
        T record = read(in);
        in.end();
        return record;
    }

    @Override
    public void copy(DataInputView source, DataOutputView target) throws IOException {
        byte[] bytes = readBytes(source);
        target.writeInt(bytes.length);
        target.write(bytes);
    }

    private static byte[] readBytes(DataInputView source) throws IOException {
        int length = source.readInt();
        if (length < 0 || length > LARGEST) {
            throw new IOException(
                    "Cannot read a record between operators: expected 0 to " + LARGEST + " bytes, got " + length + ".");
        }
        byte[] bytes = new byte[length];
        source.readFully(bytes);
        return bytes;
    }
}
