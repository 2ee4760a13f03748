package dev.freshet.job;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.Predicate;

/**
 * A file of lines that only grows, and that survives the death of its writer: what is not a whole, sound line at the end is cut off
 * when it is opened again. Confined to one thread.
 */
final class LineLog implements AutoCloseable {

    private final FileChannel channel;

    /**
     * Opens or creates a log.
     *
     * @param longest limit of a sound line in bytes
     * @param sound sees every line in order; the first that it refuses is cut off with all that follows
     */
    LineLog(Path file, int longest, Predicate<byte[]> sound) throws IOException {
        long end = 0;
        if (Files.exists(file)) {
            end = soundBytes(file, longest, sound);
        }
        channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        if (channel.size() > end) {
            channel.truncate(end);
            channel.force(true);
        }
        channel.position(end);
    }

    private static long soundBytes(Path file, int longest, Predicate<byte[]> sound) throws IOException {
        long end = 0;
        try (BatchInput in = new BatchInput(file, longest)) {
            BatchInput.Line line = in.next();
            while (line != null && line.whole() && !line.tooLong() && sound.test(line.bytes())) {
                end = line.end();
                line = in.next();
            }
        }
        return end;
    }

    /** Appends a line, which must not contain a line end; it is the system's from now on. */
    void append(byte[] line) throws IOException {
        ByteBuffer bytes =
                ByteBuffer.allocate(line.length + 1).put(line).put((byte) '\n').flip();
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /** Makes all lines the disk's. */
    void sync() throws IOException {
        channel.force(false);
    }

    @Override
    public void close() throws IOException {
        try (channel) {
            channel.force(true);
        }
    }
}
