package dev.freshet.operator;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Writes the fixed binary layouts of state and of records between operators: big-endian, lengths in front. Confined to one thread. */
final class ByteWriter {

    private final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
    private final ByteBuffer scratch = ByteBuffer.allocate(8);

    ByteWriter flag(boolean value) {
        out.write(value ? 1 : 0);
        return this;
    }

    ByteWriter int32(int value) {
        out.write(scratch.putInt(0, value).array(), 0, 4);
        return this;
    }

    ByteWriter int64(long value) {
        out.write(scratch.putLong(0, value).array(), 0, 8);
        return this;
    }

    ByteWriter real(double value) {
        return int64(Double.doubleToRawLongBits(value));
    }

    ByteWriter bytes(byte @Nullable [] value) {
        if (value == null) {
            return int32(-1);
        }
        int32(value.length);
        out.writeBytes(value);
        return this;
    }

    /** Writes UTF-8; text comes from strict decoders, so an unpaired surrogate cannot be in it. */
    ByteWriter text(@Nullable String value) {
        return bytes(value == null ? null : value.getBytes(StandardCharsets.UTF_8));
    }

    ByteWriter ints(int[] values) {
        int32(values.length);
        ByteBuffer block = ByteBuffer.allocate(4 * values.length);
        Arrays.stream(values).forEach(block::putInt);
        out.writeBytes(block.array());
        return this;
    }

    byte[] toBytes() {
        return out.toByteArray();
    }
}
