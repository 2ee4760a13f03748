package dev.freshet.operator;

import dev.freshet.engine.SequenceState;
import java.io.IOException;
import java.util.zip.CRC32C;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.jspecify.annotations.Nullable;

/** Parts of stored records, each with its length in front and a CRC32C behind, so that damage to one leaves the others usable. */
final class SealedParts {

    /** Longest part that is read back, a state's floats apart: far above what a source lets in, far below what could hurt. */
    private static final int LARGEST = 64 << 20;

    private SealedParts() {}

    static void write(byte[] part, DataOutputView target) throws IOException {
        target.writeInt(part.length);
        target.write(part);
        target.writeInt(checksum(part));
    }

    /** Reads a part, or returns null when it is not what was written. */
    static @Nullable ByteReader read(DataInputView source) throws IOException {
        int length = source.readInt();
        if (length < 0 || length > LARGEST) {
            return null;
        }
        byte[] part = new byte[length];
        source.readFully(part);
        return checksum(part) == source.readInt() ? new ByteReader(part) : null;
    }

    /** Writes a description of a state, or of none, then its floats. */
    static void writeState(@Nullable SequenceState state, DataOutputView target) throws IOException {
        ByteWriter description = new ByteWriter();
        description.flag(state != null);
        if (state == null) {
            write(description.toBytes(), target);
            return;
        }
        description
                .text(state.model())
                .int32(state.values().length)
                .int32(state.hidden() == null ? -1 : state.hidden().length);
        write(description.toBytes(), target);
        FloatBlocks out = new FloatBlocks();
        out.write(state.values(), target);
        if (state.hidden() != null) {
            out.write(state.hidden(), target);
        }
        target.writeInt(out.checksum());
    }

    /** Reads a state, or returns null when there is none to be trusted. */
    static @Nullable SequenceState readState(DataInputView source) throws IOException {
        ByteReader in = read(source);
        if (in == null || !in.flag()) {
            return null;
        }
        String model = in.presentText();
        FloatBlocks blocks = new FloatBlocks();
        int length = in.int32();
        int hiddenLength = in.int32();
        in.end();
        float[] values = blocks.read(source, length);
        float[] hidden = hiddenLength < 0 ? null : blocks.read(source, hiddenLength);
        return blocks.checksum() == source.readInt() ? new SequenceState(model, values, hidden) : null;
    }

    static int checksum(byte[] part) {
        CRC32C crc = new CRC32C();
        crc.update(part);
        return (int) crc.getValue();
    }
}
