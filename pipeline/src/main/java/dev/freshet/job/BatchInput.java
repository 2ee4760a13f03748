package dev.freshet.job;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The lines of a file one after the other; one that is too long is passed over without being kept. Confined to one thread. */
final class BatchInput implements AutoCloseable {

    private static final int BUFFER = 1 << 16;
    private static final byte[] BYTE_ORDER_MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};

    private final InputStream in;
    private final int longest;
    private long number;
    private long read;

    /**
     * A line that is not blank.
     *
     * @param number counted from 0, blank ones included
     * @param bytes without the line end; the beginning of it when tooLong
     * @param tooLong whether it is longer than the limit
     * @param end bytes of the file up to the end of the line
     * @param whole whether a line end follows
     */
    record Line(long number, byte[] bytes, boolean tooLong, long end, boolean whole) {}

    /** Opens a file; longest is the limit of a line in bytes. */
    BatchInput(Path file, int longest) throws IOException {
        this(Files.newInputStream(file), longest);
    }

    /** Reads a file that is open, from its beginning. */
    BatchInput(InputStream file, int longest) throws IOException {
        in = new BufferedInputStream(file, BUFFER);
        this.longest = longest;
        in.mark(BYTE_ORDER_MARK.length);
        if (Arrays.equals(in.readNBytes(BYTE_ORDER_MARK.length), BYTE_ORDER_MARK)) {
            read = BYTE_ORDER_MARK.length;
        } else {
            in.reset();
        }
    }

    /** Returns the next line that is not blank, or null at the end. */
    @Nullable
    Line next() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream(256);
        boolean blank = true;
        boolean tooLong = false;
        while (true) {
            int b = in.read();
            read += b < 0 ? 0 : 1;
            if (b < 0 || b == '\n') {
                if (!blank) {
                    return new Line(number++, line.toByteArray(), tooLong, read, b == '\n');
                }
                number++;
                if (b < 0) {
                    return null;
                }
                line.reset();
            } else if (line.size() < longest) {
                line.write(b);
                blank &= b == ' ' || b == '\t' || b == '\r';
            } else {
                tooLong = true;
            }
        }
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
