package dev.freshet.operator;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Reads what {@link ByteWriter} wrote. Restored bytes are not trusted: every length is checked against what is left before
 * anything is allocated. Confined to one thread.
 */
final class ByteReader {

    private final ByteBuffer in;

    ByteReader(byte[] bytes) {
        this.in = ByteBuffer.wrap(bytes);
    }

    boolean flag() throws IOException {
        byte value = in.get(need(1));
        in.position(in.position() + 1);
        if (value != 0 && value != 1) {
            throw damaged("a flag of 0 or 1", value);
        }
        return value == 1;
    }

    int int32() throws IOException {
        need(4);
        return in.getInt();
    }

    long int64() throws IOException {
        need(8);
        return in.getLong();
    }

    double real() throws IOException {
        return Double.longBitsToDouble(int64());
    }

    byte @Nullable [] bytes() throws IOException {
        int length = int32();
        if (length == -1) {
            return null;
        }
        need(length);
        byte[] value = new byte[length];
        in.get(value);
        return value;
    }

    byte[] presentBytes() throws IOException {
        byte[] value = bytes();
        if (value == null) {
            throw damaged("bytes", "nothing");
        }
        return value;
    }

    @Nullable
    String text() throws IOException {
        byte[] value = bytes();
        return value == null ? null : new String(value, StandardCharsets.UTF_8);
    }

    String presentText() throws IOException {
        return new String(presentBytes(), StandardCharsets.UTF_8);
    }

    int[] ints() throws IOException {
        int length = count(4);
        int[] values = new int[length];
        for (int i = 0; i < length; i++) {
            values[i] = in.getInt();
        }
        return values;
    }

    /** Reads the number of items that follow, each of at least so many bytes. */
    int count(int bytesEach) throws IOException {
        int count = int32();
        if (count < 0 || count > in.remaining() / bytesEach) {
            throw damaged("at most " + in.remaining() / bytesEach + " items", count);
        }
        return count;
    }

    void end() throws IOException {
        if (in.hasRemaining()) {
            throw damaged("no more bytes", in.remaining());
        }
    }

    private int need(int length) throws IOException {
        if (length < 0 || length > in.remaining()) {
            throw damaged("at most " + in.remaining() + " bytes", length);
        }
        return in.position();
    }

    private IOException damaged(String expected, Object got) {
        return new IOException("Cannot read a stored record: expected " + expected + ", got " + got + " (at byte "
                + in.position() + "). Restore an older checkpoint.");
    }
}
