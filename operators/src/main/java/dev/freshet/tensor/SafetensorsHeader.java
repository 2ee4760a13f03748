package dev.freshet.tensor;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Parses and checks the JSON header of a safetensors file, stricter than the format asks: no duplicate or unknown keys, known
 * element types, and tensors that cover the data part without hole or overlap. Reads tokens as they come, so memory is bounded
 * by the header's length whatever it says.
 */
final class SafetensorsHeader {

    static final int MAX_BYTES = 8 << 20;
    static final int MAX_TENSORS = 65_536;
    static final int MAX_RANK = 8;

    private static final String DOWNLOAD = "Download the file again or write it with the safetensors library.";

    private final Path file;
    private final long dataBytes;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    private SafetensorsHeader(Path file, long dataBytes) {
        this.file = file;
        this.dataBytes = dataBytes;
    }

    /**
     * Parses a header.
     *
     * @param file for messages
     * @param json the header's bytes
     * @param dataBytes real length of the data part that follows it
     * @throws ConfigError when the header is not acceptable
     */
    static SafetensorsHeader parse(Path file, byte[] json, long dataBytes) {
        SafetensorsHeader header = new SafetensorsHeader(file, dataBytes);
        if (json.length == 0 || json[0] != '{') {
            throw header.refuse("header expected to start with '{', got another byte", DOWNLOAD);
        }
        try (JsonParser parser = StrictJson.parser(json)) {
            header.readAll(parser);
        } catch (CharacterCodingException e) {
            throw header.refuse("header expected to be UTF-8, got other bytes", DOWNLOAD);
        } catch (JsonProcessingException e) {
            throw header.refuse(
                    "header expected to be strict JSON, got: " + WeightsError.shown(e.getOriginalMessage()), DOWNLOAD);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        header.checkLayout();
        return header;
    }

    Map<String, TensorInfo> tensors() {
        return tensors;
    }

    Map<String, String> metadata() {
        return metadata;
    }

    private void readAll(JsonParser parser) throws IOException {
        expect(parser.nextToken(), JsonToken.START_OBJECT, "header");
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            if (name.equals("__metadata__")) {
                readMetadata(parser);
            } else {
                if (tensors.size() == MAX_TENSORS) {
                    throw refuse(
                            "expected at most " + MAX_TENSORS + " tensors, got more", "Split the file into shards.");
                }
                tensors.put(name, readTensor(parser, name));
            }
        }
        if (parser.nextToken() != null) {
            throw refuse("header expected to end after its object, got more JSON", DOWNLOAD);
        }
    }

    private void readMetadata(JsonParser parser) throws IOException {
        expect(parser.nextToken(), JsonToken.START_OBJECT, "__metadata__");
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String key = parser.currentName();
            expect(parser.nextToken(), JsonToken.VALUE_STRING, "__metadata__ value");
            metadata.put(key, parser.getText());
        }
    }

    private TensorInfo readTensor(JsonParser parser, String name) throws IOException {
        expect(parser.nextToken(), JsonToken.START_OBJECT, "tensor " + WeightsError.shown(name));
        DType dtype = null;
        long[] shape = null;
        long[] offsets = null;
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String key = parser.currentName();
            switch (key) {
                case "dtype" -> dtype = readDType(parser, name);
                case "shape" -> shape = readLongs(parser, name, "shape", MAX_RANK);
                case "data_offsets" -> offsets = readLongs(parser, name, "data_offsets", 2);
                default ->
                    throw refuseTensor(
                            name, "expected the keys dtype, shape and data_offsets, got " + WeightsError.shown(key));
            }
        }
        if (dtype == null || shape == null || offsets == null || offsets.length != 2) {
            throw refuseTensor(name, "expected dtype, shape and two data_offsets, got an entry without them");
        }
        if (offsets[1] < offsets[0] || offsets[1] > dataBytes) {
            throw refuseTensor(
                    name,
                    "expected data_offsets within the " + dataBytes + " data bytes of the file, got "
                            + Arrays.toString(offsets));
        }
        long bytes = bytes(name, dtype, shape);
        if (bytes != offsets[1] - offsets[0]) {
            throw refuseTensor(
                    name,
                    "expected " + bytes + " bytes for " + Arrays.toString(shape) + " " + dtype + ", got "
                            + (offsets[1] - offsets[0]) + " from data_offsets");
        }
        return new TensorInfo(name, dtype, shape, offsets[0], offsets[1], file);
    }

    private DType readDType(JsonParser parser, String name) throws IOException {
        expect(parser.nextToken(), JsonToken.VALUE_STRING, "dtype of tensor " + WeightsError.shown(name));
        String text = parser.getText();
        for (DType dtype : DType.values()) {
            if (dtype.name().equals(text)) {
                return dtype;
            }
        }
        throw refuseTensor(
                name, "expected a dtype of " + Arrays.toString(DType.values()) + ", got " + WeightsError.shown(text));
    }

    private long[] readLongs(JsonParser parser, String name, String key, int limit) throws IOException {
        String what = key + " of tensor " + WeightsError.shown(name);
        expect(parser.nextToken(), JsonToken.START_ARRAY, what);
        long[] values = new long[limit];
        int count = 0;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            expect(parser.currentToken(), JsonToken.VALUE_NUMBER_INT, what);
            if (count == limit) {
                throw refuseTensor(name, "expected at most " + limit + " numbers in " + key + ", got more");
            }
            long value = parser.getLongValue();
            if (value < 0) {
                throw refuseTensor(name, "expected no negative number in " + key + ", got " + value);
            }
            values[count++] = value;
        }
        return Arrays.copyOf(values, count);
    }

    private long bytes(String name, DType dtype, long[] shape) {
        try {
            long product = dtype.bytes();
            for (long dimension : shape) {
                product = Math.multiplyExact(product, dimension);
            }
            return product;
        } catch (ArithmeticException e) {
            throw refuseTensor(name, "expected a size below 2^63 bytes, got " + Arrays.toString(shape) + " " + dtype);
        }
    }

    private void checkLayout() {
        List<TensorInfo> ordered = new ArrayList<>(tensors.values());
        ordered.sort(Comparator.comparingLong(TensorInfo::begin).thenComparingLong(TensorInfo::end));
        long next = 0;
        for (TensorInfo tensor : ordered) {
            if (tensor.begin() != next) {
                throw refuseTensor(
                        tensor.name(),
                        "expected its data to begin at byte " + next + ", got " + tensor.begin()
                                + (tensor.begin() > next ? " (a hole)" : " (an overlap)"));
            }
            next = tensor.end();
        }
        if (next != dataBytes) {
            throw refuse(
                    "expected " + next + " data bytes after the header, got " + dataBytes,
                    "Remove what follows the tensors or download the file again.");
        }
    }

    private void expect(@Nullable JsonToken got, JsonToken expected, String what) {
        if (got != expected) {
            throw refuse(what + " expected " + expected + ", got " + (got == null ? "the end" : got), DOWNLOAD);
        }
    }

    private ConfigError refuse(String problem, String cure) {
        return WeightsError.of(file, problem, cure);
    }

    private ConfigError refuseTensor(String name, String problem) {
        return refuse("tensor " + WeightsError.shown(name) + " " + problem, DOWNLOAD);
    }
}
