package dev.freshet.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.request.ConfigError;
import dev.freshet.tensor.WeightsDirectory;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A model in Hugging Face layout: config.json, safetensors weights, tokenizer.json, generation_config.json. Opening it checks the
 * configuration and the headers of the weights; it reads no weights. Immutable but for the open files.
 */
public final class ModelDirectory implements AutoCloseable {

    private final Path path;
    private final ModelConfig config;
    private final WeightsDirectory weights;
    private final Set<Integer> endTokens;
    private final @Nullable Integer beginToken;

    private ModelDirectory(
            Path path,
            ModelConfig config,
            WeightsDirectory weights,
            Set<Integer> endTokens,
            @Nullable Integer beginToken) {
        this.path = path;
        this.config = config;
        this.weights = weights;
        this.endTokens = Set.copyOf(endTokens);
        this.beginToken = beginToken;
    }

    /**
     * Opens a directory.
     *
     * @throws ConfigError naming file, field or tensor, expected and got
     */
    public static ModelDirectory open(Path path) {
        if (!Files.isDirectory(path)) {
            throw new ConfigError(
                    "Cannot open the model: expected a directory, got " + (Files.exists(path) ? "a file" : "nothing")
                            + " (" + path + "). Point --model to a model directory in Hugging Face layout.");
        }
        ConfigReader reader = ConfigReader.open(path.resolve("config.json"));
        ModelConfig config = reader.read();
        JsonNode generation = generationConfig(path);
        Set<Integer> ends = tokens(generation == null ? null : generation.get("eos_token_id"));
        if (ends.isEmpty()) {
            ends = tokens(reader.node("eos_token_id"));
        }
        Set<Integer> begins = tokens(reader.node("bos_token_id"));
        return new ModelDirectory(
                path,
                config,
                WeightsDirectory.open(path),
                ends,
                begins.isEmpty() ? null : begins.iterator().next());
    }

    private static @Nullable JsonNode generationConfig(Path path) {
        Path file = path.resolve("generation_config.json");
        if (!Files.isRegularFile(file)) {
            return null;
        }
        try {
            return new ObjectMapper().readTree(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot read generation_config.json: expected a JSON object, got malformed JSON (" + file
                            + "). Repair or remove the file.",
                    e);
        }
    }

    private static Set<Integer> tokens(@Nullable JsonNode node) {
        Set<Integer> out = new TreeSet<>();
        if (node != null && node.isArray()) {
            node.forEach(id -> out.add(id.asInt(-1)));
        } else if (node != null && node.isInt()) {
            out.add(node.asInt());
        }
        out.removeIf(id -> id < 0);
        return out;
    }

    /** Where the model lies. */
    public Path path() {
        return path;
    }

    /** Shapes and constants. */
    public ModelConfig config() {
        return config;
    }

    /** The weights. */
    public WeightsDirectory weights() {
        return weights;
    }

    /** Ids that end a text. */
    public Set<Integer> endTokens() {
        return endTokens;
    }

    /** Id that begins a text, or null. */
    public @Nullable Integer beginToken() {
        return beginToken;
    }

    /** SHA-256 over names and contents of the files that decide the output: configuration, tokenizer, weights. Hexadecimal. */
    public String fingerprint() {
        try (Stream<Path> list = Files.list(path)) {
            List<Path> files = list.filter(ModelDirectory::decisive).sorted().toList();
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            byte[] chunk = new byte[1 << 20];
            for (Path file : files) {
                String name = String.valueOf(file.getFileName());
                digest.update(
                        (name + "\0" + Files.size(file) + "\0").getBytes(java.nio.charset.StandardCharsets.UTF_8));
                try (InputStream in = Files.newInputStream(file)) {
                    for (int n = in.read(chunk); n >= 0; n = in.read(chunk)) {
                        digest.update(chunk, 0, n);
                    }
                }
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static boolean decisive(Path file) {
        String name = String.valueOf(file.getFileName());
        return name.equals("config.json")
                || name.equals("generation_config.json")
                || name.equals("tokenizer.json")
                || name.endsWith(".safetensors");
    }

    @Override
    public void close() {
        weights.close();
    }
}
