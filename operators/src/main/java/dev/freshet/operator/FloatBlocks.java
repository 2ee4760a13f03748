package dev.freshet.operator;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Floats as little-endian bytes, block by block, with a checksum over all of them. Confined to one thread. */
final class FloatBlocks {

    private static final int FLOATS = 16_384;

    /** Floats that are allocated at once, 16 MiB; a multiple of the block. */
    private static final int TRUSTED = 256 * FLOATS;

    private final ByteBuffer block = ByteBuffer.allocate(Float.BYTES * FLOATS).order(ByteOrder.LITTLE_ENDIAN);
    private final CRC32C crc = new CRC32C();

    void write(float[] values, DataOutputView target) throws IOException {
        for (int at = 0; at < values.length; at += FLOATS) {
            int n = Math.min(FLOATS, values.length - at);
            block.clear().asFloatBuffer().put(values, at, n);
            crc.update(block.array(), 0, Float.BYTES * n);
            target.write(block.array(), 0, Float.BYTES * n);
        }
    }

    /**
     * Reads floats. The array grows with what is there, so that a wrong number costs no memory.
     *
     * @throws java.io.EOFException when there are fewer
     */
    float[] read(DataInputView source, int length) throws IOException {
        if (length < 0) {
            throw new EOFException("A number of floats expected to be at least 0, got " + length);
        }
        float[] values = new float[Math.min(length, TRUSTED)];
        for (int at = 0; at < length; at += FLOATS) {
            int n = Math.min(FLOATS, length - at);
            if (at + n > values.length) {
                values = Arrays.copyOf(values, (int) Math.min(length, 2L * values.length));
            }
            source.readFully(block.array(), 0, Float.BYTES * n);
            crc.update(block.array(), 0, Float.BYTES * n);
            block.clear().asFloatBuffer().get(values, at, n);
        }
        return values;
    }

    /** CRC32C of all bytes so far. */
    int checksum() {
        return (int) crc.getValue();
    }
}
