package dev.freshet.tokenizer;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.function.Consumer;
import org.junit.jupiter.api.Assumptions;

/** Tokenizers for tests: a byte-level one of 400 tokens in the resources, and the SentencePiece-style one of the shared model. */
public final class Tokenizers {

    private static final ObjectMapper JSON = new ObjectMapper();

    private Tokenizers() {}

    /** Loads the byte-level BPE of 400 tokens: {@code <s>} 0, {@code </s>} 1, {@code <|im_start|>} 2, {@code <|im_end|>} 3. */
    public static Tokenizer byteLevel() {
        return load(byteLevelJson());
    }

    /** Writes the byte-level tokenizer.json into a model directory. */
    public static void writeByteLevel(Path directory) {
        try {
            Files.write(directory.resolve(Tokenizer.FILE), JSON.writeValueAsBytes(byteLevelJson()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static ObjectNode byteLevelJson() {
        try (InputStream in = Tokenizers.class.getResourceAsStream("/tokenizer/tokenizer.json")) {
            return (ObjectNode) JSON.readTree(Objects.requireNonNull(in));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The byte-level tokenizer.json after a change. */
    static ObjectNode byteLevelJson(Consumer<ObjectNode> change) {
        ObjectNode json = byteLevelJson();
        change.accept(json);
        return json;
    }

    static Path storiesFolder() {
        Path folder = Path.of(System.getProperty("freshet.shared", "../../shared"), "data/models/stories260k");
        Assumptions.assumeTrue(Files.isDirectory(folder), "no shared model folder, skipped");
        return folder;
    }

    static ObjectNode storiesJson() {
        return (ObjectNode) read(storiesFolder().resolve(Tokenizer.FILE));
    }

    static JsonNode read(Path file) {
        try {
            return JSON.readTree(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static JsonNode parse(String json) {
        try {
            return JSON.readTree(json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Tokenizer load(JsonNode json) {
        try {
            Path directory = Files.createTempDirectory("tokenizer");
            Path file = directory.resolve(Tokenizer.FILE);
            try {
                Files.write(file, JSON.writeValueAsBytes(json));
                return Tokenizer.load(directory);
            } finally {
                Files.deleteIfExists(file);
                Files.delete(directory);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The library itself with the whole file: what our own half must agree with. */
    static final class Oracle implements AutoCloseable {
        private final TokenizersLibrary library = NativeTokenizers.library();
        private final long handle;

        Oracle(JsonNode json) {
            handle = library.createTokenizerFromString(json.toString());
        }

        int[] encode(String text, boolean withTemplate) {
            long encoding = library.encode(handle, text, withTemplate);
            long[] ids = library.getTokenIds(encoding);
            library.deleteEncoding(encoding);
            return java.util.stream.LongStream.of(ids).mapToInt(id -> (int) id).toArray();
        }

        String decode(int[] ids, boolean skipSpecial) {
            return library.decode(
                    handle, java.util.stream.IntStream.of(ids).asLongStream().toArray(), skipSpecial);
        }

        @Override
        public void close() {
            library.deleteTokenizer(handle);
        }
    }
}
