package dev.freshet.tensor;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The weights of a Hugging Face model directory: {@code model.safetensors}, or the shards that {@code model.safetensors.index.json}
 * names. The single file wins where both exist, as in the library that writes them. The methods may be called from any thread.
 */
public final class WeightsDirectory implements TensorSource, AutoCloseable {

    /** The file of an unsharded model. */
    public static final String SINGLE = "model.safetensors";

    /** The index of a sharded model. */
    public static final String INDEX = "model.safetensors.index.json";

    private static final int MAX_INDEX_BYTES = 8 << 20;
    private static final int MAX_SHARDS = 1024;
    private static final String COMPLETE = "Download the model directory again, all shards and the index.";

    private final Path directory;
    private final List<SafetensorsFile> files;
    private final Map<String, SafetensorsFile> byTensor;

    private WeightsDirectory(Path directory, List<SafetensorsFile> files, Map<String, SafetensorsFile> byTensor) {
        this.directory = directory;
        this.files = List.copyOf(files);
        this.byTensor = byTensor;
    }

    /**
     * Opens and checks all weight files of a directory.
     *
     * @throws ConfigError when there are none, or one of them or the index is not acceptable
     */
    public static WeightsDirectory open(Path directory) {
        Path single = directory.resolve(SINGLE);
        if (Files.isRegularFile(single)) {
            return collect(directory, List.of(SafetensorsFile.open(single)));
        }
        Path index = directory.resolve(INDEX);
        if (!Files.isRegularFile(index)) {
            throw WeightsError.of(
                    directory,
                    "expected " + SINGLE + " or " + INDEX + ", got neither",
                    "Point to a model directory in Hugging Face layout with safetensors weights.");
        }
        Map<String, String> shardOf = readIndex(index);
        List<SafetensorsFile> shards = new ArrayList<>();
        for (String shard : new TreeSet<>(shardOf.values())) {
            if (!Files.isRegularFile(directory.resolve(shard))) {
                throw WeightsError.of(
                        index, "expected shard " + WeightsError.shown(shard) + " beside the index, got none", COMPLETE);
            }
            shards.add(SafetensorsFile.open(directory.resolve(shard)));
        }
        WeightsDirectory weights = collect(directory, shards);
        shardOf.forEach((name, shard) -> {
            SafetensorsFile file = weights.byTensor.get(name);
            if (file == null || !file.path().equals(directory.resolve(shard))) {
                throw WeightsError.of(
                        index,
                        "tensor " + WeightsError.shown(name) + " expected in shard " + WeightsError.shown(shard)
                                + ", got "
                                + (file == null
                                        ? "no shard with it"
                                        : file.path().getFileName()),
                        COMPLETE);
            }
        });
        return weights;
    }

    private static WeightsDirectory collect(Path directory, List<SafetensorsFile> files) {
        Map<String, SafetensorsFile> byTensor = new LinkedHashMap<>();
        for (SafetensorsFile file : files) {
            for (String name : file.names()) {
                SafetensorsFile other = byTensor.put(name, file);
                if (other != null) {
                    throw WeightsError.of(
                            file.path(),
                            "tensor " + WeightsError.shown(name) + " expected in one shard, got it also in "
                                    + other.path().getFileName(),
                            COMPLETE);
                }
            }
        }
        return new WeightsDirectory(directory, files, byTensor);
    }

    private static Map<String, String> readIndex(Path index) {
        try {
            long length = Files.size(index);
            if (length > MAX_INDEX_BYTES) {
                throw WeightsError.of(
                        index, "expected at most " + MAX_INDEX_BYTES + " bytes of index, got " + length, COMPLETE);
            }
            byte[] json;
            try (var in = Files.newInputStream(index)) {
                json = in.readNBytes(MAX_INDEX_BYTES);
            }
            try (JsonParser parser = StrictJson.parser(json)) {
                return readWeightMap(index, parser);
            }
        } catch (JsonProcessingException e) {
            throw WeightsError.of(
                    index,
                    "index expected to be strict JSON, got: " + WeightsError.shown(e.getOriginalMessage()),
                    COMPLETE);
        } catch (CharacterCodingException e) {
            throw WeightsError.of(index, "index expected to be UTF-8, got other bytes", COMPLETE);
        } catch (IOException e) {
            throw WeightsError.of(
                    index,
                    "expected a readable index, got " + e.getClass().getSimpleName(),
                    "Check its permissions.",
                    e);
        }
    }

    private static Map<String, String> readWeightMap(Path index, JsonParser parser) throws IOException {
        Map<String, String> shardOf = new LinkedHashMap<>();
        Set<String> shards = new TreeSet<>();
        expect(index, parser.nextToken() == JsonToken.START_OBJECT, "an object");
        boolean found = false;
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            boolean map = parser.currentName().equals("weight_map");
            parser.nextToken();
            if (!map) {
                parser.skipChildren();
                continue;
            }
            found = true;
            expect(index, parser.currentToken() == JsonToken.START_OBJECT, "weight_map as an object");
            while (parser.nextToken() != JsonToken.END_OBJECT) {
                String name = parser.currentName();
                expect(index, parser.nextToken() == JsonToken.VALUE_STRING, "file names as strings in weight_map");
                shardOf.put(name, shardName(index, parser.getText()));
                shards.add(parser.getText());
                expect(index, shards.size() <= MAX_SHARDS, "at most " + MAX_SHARDS + " shards");
                expect(
                        index,
                        shardOf.size() <= SafetensorsHeader.MAX_TENSORS,
                        "at most " + SafetensorsHeader.MAX_TENSORS + " tensors");
            }
        }
        expect(index, parser.nextToken() == null, "nothing after the object");
        expect(index, found && !shardOf.isEmpty(), "tensors in weight_map");
        return shardOf;
    }

    private static String shardName(Path index, String name) {
        boolean plain = name.endsWith(".safetensors") && !name.startsWith(".");
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            plain &= c != '/' && c != '\\' && c != ':' && !Character.isISOControl(c) && !Character.isSurrogate(c);
        }
        if (!plain) {
            throw WeightsError.of(
                    index,
                    "expected shards to be plain names of .safetensors files in this directory, got "
                            + WeightsError.shown(name),
                    "Do not use this model: its index points elsewhere.");
        }
        return name;
    }

    private static void expect(Path index, boolean condition, String what) {
        if (!condition) {
            throw WeightsError.of(index, "index expected to hold " + what + ", got something else", COMPLETE);
        }
    }

    /** Names of all tensors. */
    public Set<String> names() {
        return Collections.unmodifiableSet(byTensor.keySet());
    }

    /** Whether a tensor of this name exists. */
    @Override
    public boolean has(String name) {
        return byTensor.containsKey(name);
    }

    /**
     * Describes a tensor.
     *
     * @throws ConfigError when there is none of this name
     */
    @Override
    public TensorInfo info(String name) {
        return fileOf(name).info(name);
    }

    /** Reads consecutive elements as floats, as {@link SafetensorsFile#readFloats} does. */
    @Override
    public void readFloats(String name, long firstElement, float[] out, int outOffset, int count) {
        fileOf(name).readFloats(name, firstElement, out, outOffset, count);
    }

    /** Reads a whole tensor of an expected shape, as {@link SafetensorsFile#floats} does. */
    @Override
    public float[] floats(String name, long... expectedShape) {
        return fileOf(name).floats(name, expectedShape);
    }

    private SafetensorsFile fileOf(String name) {
        SafetensorsFile file = byTensor.get(name);
        if (file == null) {
            throw WeightsError.of(
                    files.size() == 1 ? files.get(0).path() : directory,
                    "expected tensor " + WeightsError.shown(name) + ", got none of that name",
                    "Check that config.json belongs to these weights.");
        }
        return file;
    }

    /** The weight files, in order of their names. */
    public List<Path> files() {
        return files.stream().map(SafetensorsFile::path).toList();
    }

    @Override
    public void close() {
        files.forEach(SafetensorsFile::close);
    }
}
