package dev.freshet.tensor;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/** Writes safetensors files for tests: tensors in ascending name order, without gaps, header padded to 8 bytes. */
public final class SafetensorsWriter {

    private SafetensorsWriter() {}

    /**
     * A tensor to write.
     *
     * @param shape dimensions, outermost first
     * @param values [product of shape]
     */
    public record Tensor(long[] shape, float[] values) {
        public Tensor {
            long product = 1;
            for (long dimension : shape) {
                product *= dimension;
            }
            if (product != values.length) {
                throw new IllegalArgumentException("shape of " + product + " elements, " + values.length + " values");
            }
        }

        /** Creates a tensor of these dimensions. */
        public static Tensor of(float[] values, long... shape) {
            return new Tensor(shape, values);
        }
    }

    /** Writes all tensors in one element type (F32, F16 or BF16, rounded to nearest even). */
    public static void write(Path file, Map<String, Tensor> tensors, DType dtype) {
        try {
            Files.write(file, bytes(tensors, dtype));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The content that {@link #write} gives a file. */
    public static byte[] bytes(Map<String, Tensor> tensors, DType dtype) {
        ObjectNode header = new ObjectMapper().createObjectNode();
        long offset = 0;
        for (var entry : new TreeMap<>(tensors).entrySet()) {
            long end = offset + (long) entry.getValue().values().length * dtype.bytes();
            ObjectNode node = header.putObject(entry.getKey());
            node.put("dtype", dtype.name());
            var shape = node.putArray("shape");
            for (long dimension : entry.getValue().shape()) {
                shape.add(dimension);
            }
            node.putArray("data_offsets").add(offset).add(end);
            offset = end;
        }
        ByteBuffer data = ByteBuffer.allocate(Math.toIntExact(offset)).order(ByteOrder.LITTLE_ENDIAN);
        for (Tensor tensor : new TreeMap<>(tensors).values()) {
            for (float value : tensor.values()) {
                put(data, dtype, value);
            }
        }
        return file(header.toString(), data.array());
    }

    /** A file of this header, padded with spaces, and this data. */
    public static byte[] file(String header, byte[] data) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        int padded = (json.length + 7) / 8 * 8;
        ByteBuffer out = ByteBuffer.allocate(8 + padded + data.length).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(padded).put(json);
        while (out.position() < 8 + padded) {
            out.put((byte) ' ');
        }
        return out.put(data).array();
    }

    private static void put(ByteBuffer data, DType dtype, float value) {
        switch (dtype) {
            case F32 -> data.putFloat(value);
            case BF16 -> data.putShort(toBf16(value));
            case F16 -> data.putShort(toF16(value));
            default -> throw new IllegalArgumentException("cannot write " + dtype);
        }
    }

    /** Rounds to bfloat16, ties to even. */
    public static short toBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }

    /** Rounds to half precision, ties to even. */
    public static short toF16(float value) {
        int sign = Float.floatToRawIntBits(value) >>> 16 & 0x8000;
        float magnitude = Math.abs(value);
        if (Float.isNaN(value)) {
            return (short) (sign | 0x7e00);
        }
        if (magnitude >= 65520) {
            return (short) (sign | 0x7c00);
        }
        // One unit in the last place of the result, then round to a whole number of them.
        int exponent = Math.max(Math.getExponent(magnitude), -14);
        double units = Math.rint(magnitude / Math.scalb(1.0, exponent - 10));
        return (short) (sign | (int) units + (exponent + 14 << 10));
    }
}
