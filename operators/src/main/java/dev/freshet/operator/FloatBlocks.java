package dev.freshet.operator;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Floats as little-endian bytes, block by block, with a checksum over all of them. Confined to one thread. */
final class FloatBlocks {

    private static final int FLOATS = 16_384;

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

    void read(DataInputView source, float[] values) throws IOException {
        for (int at = 0; at < values.length; at += FLOATS) {
            int n = Math.min(FLOATS, values.length - at);
            source.readFully(block.array(), 0, Float.BYTES * n);
            crc.update(block.array(), 0, Float.BYTES * n);
            block.clear().asFloatBuffer().get(values, at, n);
        }
    }

    /** CRC32C of all bytes so far. */
    int checksum() {
        return (int) crc.getValue();
    }
}
