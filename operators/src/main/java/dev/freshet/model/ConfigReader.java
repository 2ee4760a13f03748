package dev.freshet.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.AttentionOptions;
import dev.freshet.attention.LayerAttention;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads config.json of a Hugging Face directory with checks that name the field. */
final class ConfigReader {

    private static final int MAX_BYTES = 4 << 20;
    private static final int MAX_SIZE = 1 << 24;
    private static final int MAX_TREE = 64;

    private final Path file;
    private final JsonNode root;

    private ConfigReader(Path file, JsonNode root) {
        this.file = file;
        this.root = root;
    }

    static ConfigReader open(Path file) {
        try {
            if (!Files.isRegularFile(file)) {
                throw new ConfigError("Cannot open the model: expected the file config.json, got none ("
                        + file.getParent() + "). Point --model to a model directory in Hugging Face layout.");
            }
            if (Files.size(file) > MAX_BYTES) {
                throw new ConfigError("Cannot read config.json: expected at most " + MAX_BYTES + " bytes, got "
                        + Files.size(file) + " (" + file + ").");
            }
            JsonNode root = new ObjectMapper().readTree(Files.readAllBytes(file));
            if (root == null || !root.isObject()) {
                throw new ConfigError("Cannot read config.json: expected a JSON object (" + file + ").");
            }
            return new ConfigReader(file, root);
        } catch (JsonProcessingException e) {
            throw new ConfigError(
                    "Cannot read config.json: expected a JSON object, got malformed JSON (" + file + ").", e);
        } catch (IOException e) {
            throw new ConfigError("Cannot read config.json: " + e.getMessage() + " (" + file + ").", e);
        }
    }

    Path file() {
        return file;
    }

    @Nullable
    JsonNode node(String name) {
        JsonNode node = root.get(name);
        return node == null || node.isNull() ? null : node;
    }

    ModelConfig read() {
        JsonNode type = node("model_type");
        String name = type == null ? "none" : type.asText();
        return switch (name) {
            case "llama" -> llama();
            case "gpt2" -> gpt2();
            default ->
                throw new ConfigError("Cannot load the model: expected model_type llama or gpt2, got " + name + " ("
                        + file + "). Other architectures are not supported.");
        };
    }

    private ModelConfig llama() {
        int hidden = size("hidden_size");
        int heads = size("num_attention_heads");
        int kvHeads = sizeOr("num_key_value_heads", heads);
        int headDim = sizeOr("head_dim", hidden / heads);
        if (heads % kvHeads != 0) {
            throw wrong("num_key_value_heads", "a divisor of num_attention_heads " + heads, kvHeads);
        }
        if (headDim % 2 != 0) {
            throw wrong("head_dim", "an even number", headDim);
        }
        String act = text("hidden_act", "silu");
        if (!act.equals("silu")) {
            throw wrong("hidden_act", "silu", act);
        }
        int maxPositions = sizeOr("max_position_embeddings", 2048);
        return finish(
                ModelConfig.Architecture.LLAMA,
                hidden,
                heads,
                kvHeads,
                headDim,
                size("intermediate_size"),
                maxPositions,
                size("num_hidden_layers"),
                number("rms_norm_eps", 1e-6),
                RopeScaling.read(this, headDim, maxPositions),
                root.path("tie_word_embeddings").asBoolean(false));
    }

    private ModelConfig gpt2() {
        int hidden = size("n_embd");
        int heads = size("n_head");
        if (hidden % heads != 0) {
            throw wrong("n_head", "a divisor of n_embd " + hidden, heads);
        }
        String act = text("activation_function", "gelu_new");
        if (!act.equals("gelu_new") && !act.equals("gelu_pytorch_tanh")) {
            throw wrong("activation_function", "gelu_new", act);
        }
        return finish(
                ModelConfig.Architecture.GPT2,
                hidden,
                heads,
                heads,
                hidden / heads,
                sizeOr("n_inner", 4 * hidden),
                sizeOr("n_positions", 1024),
                size("n_layer"),
                number("layer_norm_epsilon", 1e-5),
                new RopeConfig(new double[0], 1),
                root.path("tie_word_embeddings").asBoolean(true));
    }

    private ModelConfig finish(
            ModelConfig.Architecture architecture,
            int hidden,
            int heads,
            int kvHeads,
            int headDim,
            int intermediate,
            int maxPositions,
            int layers,
            double eps,
            RopeConfig rope,
            boolean tied) {
        JsonNode medusa = node("medusa");
        int medusaHeads = medusa == null ? 0 : medusa.path("num_heads").asInt(0);
        return new ModelConfig(
                architecture,
                hidden,
                heads,
                kvHeads,
                headDim,
                intermediate,
                size("vocab_size"),
                maxPositions,
                eps,
                rope,
                tied,
                options(),
                layerKinds(layers),
                medusaHeads,
                tree(medusa, medusaHeads));
    }

    private AttentionOptions options() {
        JsonNode a = node("attention");
        if (a == null) {
            return AttentionOptions.DEFAULTS;
        }
        AttentionOptions d = AttentionOptions.DEFAULTS;
        return new AttentionOptions(
                option(a, "group_size", d.groupSize(), 4096),
                option(a, "conv_taps", d.convTaps(), 1024),
                a.hasNonNull("feature_dim") ? option(a, "feature_dim", 0, 65536) : 0,
                option(a, "hash_rounds", d.hashRounds(), 1024),
                option(a, "hash_bits", d.hashBits(), 16),
                option(a, "slots", d.slots(), 65536),
                option(a, "slot_positions", d.slotPositions(), MAX_SIZE));
    }

    private int option(JsonNode a, String name, int otherwise, int max) {
        JsonNode value = a.get(name);
        if (value == null || value.isNull()) {
            return otherwise;
        }
        if (!value.isIntegralNumber() || !value.canConvertToInt() || value.asInt() < 1 || value.asInt() > max) {
            throw wrong("attention." + name, "a whole number from 1 to " + max, value);
        }
        return value.asInt();
    }

    private List<LayerAttention> layerKinds(int layers) {
        JsonNode a = node("attention");
        JsonNode perLayer = a == null ? null : a.get("layer_kinds");
        if (perLayer != null && !perLayer.isNull() && (!perLayer.isArray() || perLayer.size() != layers)) {
            throw wrong(
                    "attention.layer_kinds",
                    "one entry for each of " + layers + " layers",
                    perLayer.size() + " entries");
        }
        boolean all = a != null && a.path("augmented").asBoolean(false);
        List<LayerAttention> kinds = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            JsonNode entry = perLayer == null || perLayer.isNull() ? null : perLayer.get(i);
            JsonNode name =
                    entry == null ? (a == null ? null : a.get("kind")) : entry.isTextual() ? entry : entry.get("kind");
            AttentionKind kind = AttentionKind.of(name == null ? "softmax" : name.asText());
            boolean otherwise = all && kind.augmentable();
            boolean augmented =
                    entry == null ? otherwise : entry.path("augmented").asBoolean(otherwise);
            if (augmented && !kind.augmentable()) {
                throw wrong("attention.layer_kinds", "a kind with an augmented form", kind.id());
            }
            kinds.add(new LayerAttention(kind, augmented));
        }
        return kinds;
    }

    private List<List<Integer>> tree(@Nullable JsonNode medusa, int heads) {
        if (medusa == null || heads == 0 || !medusa.hasNonNull("tree")) {
            return List.of();
        }
        Set<List<Integer>> seen = new HashSet<>();
        List<List<Integer>> tree = new ArrayList<>();
        for (JsonNode choice : medusa.get("tree")) {
            List<Integer> path = new ArrayList<>();
            choice.forEach(rank -> path.add(rank.asInt(-1)));
            if (path.isEmpty() || path.size() > heads || path.stream().anyMatch(rank -> rank < 0 || rank > 255)) {
                throw wrong("medusa.tree", "paths of 1 to " + heads + " ranks from 0 to 255", choice);
            }
            tree.add(path);
            seen.add(path);
        }
        if (tree.size() >= MAX_TREE || seen.size() != tree.size()) {
            throw wrong("medusa.tree", "fewer than " + MAX_TREE + " different paths", tree.size() + " paths");
        }
        for (List<Integer> path : tree) {
            if (path.size() > 1 && !seen.contains(path.subList(0, path.size() - 1))) {
                throw wrong("medusa.tree", "the parent of every path", Arrays.toString(path.toArray()));
            }
        }
        return tree;
    }

    int size(String name) {
        JsonNode value = node(name);
        if (value == null) {
            throw wrong(name, "a whole number", "none");
        }
        if (!value.isIntegralNumber() || !value.canConvertToInt() || value.asInt() < 1 || value.asInt() > MAX_SIZE) {
            throw wrong(name, "a whole number from 1 to " + MAX_SIZE, value);
        }
        return value.asInt();
    }

    int sizeOr(String name, int otherwise) {
        return node(name) == null ? otherwise : size(name);
    }

    double number(String name, double otherwise) {
        JsonNode value = node(name);
        if (value == null) {
            return otherwise;
        }
        if (!value.isNumber() || !Double.isFinite(value.asDouble()) || value.asDouble() < 0) {
            throw wrong(name, "a number, not negative", value);
        }
        return value.asDouble();
    }

    private String text(String name, String otherwise) {
        JsonNode value = node(name);
        return value == null ? otherwise : value.asText();
    }

    private ConfigError wrong(String name, String expected, Object got) {
        return new ConfigError("Cannot load the model: " + name + " expected " + expected + ", got " + got + " (" + file
                + "). Check the model directory.");
    }
}
