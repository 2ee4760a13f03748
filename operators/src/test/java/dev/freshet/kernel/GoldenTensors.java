package dev.freshet.kernel;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/** Golden tensors of the test resources, F32 and F64, read whole. */
public final class GoldenTensors {

    private final Map<String, double[]> values = new HashMap<>();
    private final Map<String, int[]> shapes = new HashMap<>();

    /** Reads a safetensors file of the golden folder. */
    public static GoldenTensors load(String path) {
        byte[] bytes = bytes(path);
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int header = (int) buffer.getLong();
        GoldenTensors out = new GoldenTensors();
        try {
            JsonNode root = new ObjectMapper().readTree(bytes, 8, header);
            root.fields().forEachRemaining(entry -> {
                if (!entry.getKey().equals("__metadata__")) {
                    out.put(entry.getKey(), entry.getValue(), buffer, 8 + header);
                }
            });
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out;
    }

    private void put(String name, JsonNode info, ByteBuffer buffer, int data) {
        int[] shape = new int[info.get("shape").size()];
        int count = 1;
        for (int i = 0; i < shape.length; i++) {
            shape[i] = info.get("shape").get(i).asInt();
            count *= shape[i];
        }
        boolean wide = info.get("dtype").asText().equals("F64");
        int at = data + info.get("data_offsets").get(0).asInt();
        double[] out = new double[count];
        for (int i = 0; i < count; i++) {
            out[i] = wide ? buffer.getDouble(at + 8 * i) : buffer.getFloat(at + 4 * i);
        }
        values.put(name, out);
        shapes.put(name, shape);
    }

    /** Content of a JSON file of the golden folder. */
    public static JsonNode json(String path) {
        try {
            return new ObjectMapper().readTree(bytes(path));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] bytes(String path) {
        try (InputStream in = GoldenTensors.class.getResourceAsStream("/golden/" + path)) {
            return Objects.requireNonNull(in, path).readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether the file has a tensor. */
    public boolean has(String name) {
        return values.containsKey(name);
    }

    /** Values of a tensor. */
    public double[] values(String name) {
        return Objects.requireNonNull(values.get(name), name);
    }

    /** Values of a tensor as floats. */
    public float[] floats(String name) {
        double[] from = values(name);
        float[] out = new float[from.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) from[i];
        }
        return out;
    }

    /** Shape of a tensor. */
    public int[] shape(String name) {
        return Objects.requireNonNull(shapes.get(name), name);
    }
}
