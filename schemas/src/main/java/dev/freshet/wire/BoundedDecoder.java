package dev.freshet.wire;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.avro.io.Decoder;
import org.apache.avro.util.Utf8;

/**
 * Avro's binary decoding over an array that may be hostile. A length or count is believed only as far as the bytes at hand can
 * bear it, so nothing is allocated that the record has not paid for, whatever limits the JVM was started with; text must be
 * well-formed UTF-8. Confined to one thread.
 */
final class BoundedDecoder extends Decoder {

    /** Array and map entries in one record. Entries can be empty, so the bytes alone do not bound their number. */
    static final int MAX_ITEMS = 1 << 17;

    private final byte[] bytes;
    private int position;
    private int itemsLeft = MAX_ITEMS;

    BoundedDecoder(byte[] bytes, int offset) {
        this.bytes = bytes;
        this.position = offset;
    }

    /** Damage in the binary form. The message holds positions and counts, never content. */
    static final class BadBinary extends IOException {
        private static final long serialVersionUID = 1L;

        BadBinary(String message) {
            super(message);
        }
    }

    /** A string that is not UTF-8. */
    static final class BadText extends IOException {
        private static final long serialVersionUID = 1L;

        BadText(String message) {
            super(message);
        }
    }

    int position() {
        return position;
    }

    @Override
    public int remainingBytes() {
        return bytes.length - position;
    }

    @Override
    public void readNull() {}

    @Override
    public boolean readBoolean() throws IOException {
        int value = next();
        if (value > 1) {
            throw new BadBinary("expected a boolean of 0 or 1, got " + value + " (byte " + (position - 1) + ")");
        }
        return value == 1;
    }

    @Override
    public int readInt() throws IOException {
        int start = position;
        long value = readLong();
        if (value != (int) value) {
            throw new BadBinary("expected an int of 32 bits, got more (byte " + start + ")");
        }
        return (int) value;
    }

    @Override
    public long readLong() throws IOException {
        int start = position;
        long raw = 0;
        for (int shift = 0; shift < 70; shift += 7) {
            int b = next();
            if (shift == 63 && b > 1) {
                break;
            }
            raw |= (long) (b & 0x7F) << shift;
            if (b < 0x80) {
                return (raw >>> 1) ^ -(raw & 1);
            }
        }
        throw new BadBinary("expected an integer of at most 64 bits, got more (byte " + start + ")");
    }

    @Override
    public float readFloat() throws IOException {
        return Float.intBitsToFloat((int) littleEndian(4));
    }

    @Override
    public double readDouble() throws IOException {
        return Double.longBitsToDouble(littleEndian(8));
    }

    @Override
    public Utf8 readString(Utf8 old) throws IOException {
        return new Utf8(readString());
    }

    @Override
    public String readString() throws IOException {
        int start = position;
        int length = length("a string");
        String text = Utf8Text.decode(bytes, position, length);
        if (text == null) {
            throw new BadText("expected well-formed UTF-8, got damaged text (byte " + start + ")");
        }
        position += length;
        return text;
    }

    @Override
    public void skipString() throws IOException {
        int length = length("a string");
        position += length;
    }

    @Override
    public ByteBuffer readBytes(ByteBuffer old) throws IOException {
        byte[] copy = new byte[length("bytes")];
        readFixed(copy, 0, copy.length);
        return ByteBuffer.wrap(copy);
    }

    @Override
    public void skipBytes() throws IOException {
        int length = length("bytes");
        position += length;
    }

    @Override
    public void readFixed(byte[] target, int start, int length) throws IOException {
        need(length);
        System.arraycopy(bytes, position, target, start, length);
        position += length;
    }

    @Override
    public void skipFixed(int length) throws IOException {
        need(length);
        position += length;
    }

    @Override
    public int readEnum() throws IOException {
        return readIndex();
    }

    @Override
    public long readArrayStart() throws IOException {
        return block();
    }

    @Override
    public long arrayNext() throws IOException {
        return block();
    }

    @Override
    public long skipArray() throws IOException {
        return block();
    }

    @Override
    public long readMapStart() throws IOException {
        return block();
    }

    @Override
    public long mapNext() throws IOException {
        return block();
    }

    @Override
    public long skipMap() throws IOException {
        return block();
    }

    @Override
    public int readIndex() throws IOException {
        int index = readInt();
        if (index < 0) {
            throw new BadBinary("expected an index of at least 0, got " + index + " (byte " + position + ")");
        }
        return index;
    }

    /** Reads the count of a block; a negative one is followed by the block's size in bytes, which we check and do not need. */
    private long block() throws IOException {
        int start = position;
        long count = readLong();
        if (count < 0) {
            long size = readLong();
            if (size < 0 || size > remainingBytes()) {
                throw new BadBinary("expected a block of at most " + remainingBytes() + " bytes, got " + size
                        + " (byte " + start + ")");
            }
            count = -count;
        }
        // Long.MIN_VALUE is still negative here.
        if (count < 0 || count > itemsLeft) {
            throw new BadBinary("expected at most " + MAX_ITEMS + " array and map entries in a record, got more (byte "
                    + start + ")");
        }
        itemsLeft -= (int) count;
        return count;
    }

    private int length(String what) throws IOException {
        int start = position;
        long length = readLong();
        if (length < 0 || length > remainingBytes()) {
            throw new BadBinary("expected " + what + " of at most " + remainingBytes() + " bytes, got " + length
                    + " (byte " + start + ")");
        }
        return (int) length;
    }

    private long littleEndian(int size) throws IOException {
        need(size);
        long value = 0;
        for (int i = 0; i < size; i++) {
            value |= (bytes[position + i] & 0xFFL) << (8 * i);
        }
        position += size;
        return value;
    }

    private int next() throws IOException {
        need(1);
        return bytes[position++] & 0xFF;
    }

    private void need(int count) throws IOException {
        if (count > remainingBytes()) {
            throw new BadBinary(
                    "expected " + count + " more bytes, got " + remainingBytes() + " (byte " + position + ")");
        }
    }
}
