package dev.freshet.model;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Reads config.json of a Hugging Face directory with checks that name the field. The limits are far above any model and low enough
 * that no shape or state size computed from them overflows.
 */
final class ConfigReader {

    private static final int MAX_BYTES = 4 << 20;
    private static final int MAX_SIZE = 1 << 24;
    private static final int MAX_LAYERS = 4096;
    private static final int MAX_HEAD_DIM = 1024;

    private final Path file;
    private final Fields fields;

    private ConfigReader(Path file, Fields fields) {
        this.file = file;
        this.fields = fields;
    }

    static ConfigReader open(Path file) {
        try {
            if (!Files.isRegularFile(file)) {
                throw new ConfigError("Cannot open the model: expected the file config.json, got none ("
                        + file.getParent() + "). Point --model to a model directory in Hugging Face layout.");
            }
            if (Files.size(file) > MAX_BYTES) {
                throw new ConfigError("Cannot read config.json: expected at most " + MAX_BYTES + " bytes, got "
                        + Files.size(file) + " (" + file + "). Check the model directory.");
            }
            JsonNode root = new ObjectMapper()
                    .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .readTree(Files.readAllBytes(file));
            if (root == null || !root.isObject()) {
                throw new ConfigError("Cannot read config.json: expected a JSON object, got "
                        + (root == null || root.isMissingNode() ? "an empty file" : "another kind of JSON value")
                        + " (" + file + "). Check the model directory.");
            }
            return new ConfigReader(file, Fields.of(file, root));
        } catch (JsonProcessingException e) {
            throw new ConfigError(
                    "Cannot read config.json: expected a JSON object, got malformed JSON (" + file
                            + "). Check the model directory.",
                    e);
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot read config.json: expected a readable file, got "
                            + e.getClass().getSimpleName() + " (" + file + "). Check its permissions.",
                    e);
        }
    }

    @Nullable
    JsonNode node(String name) {
        return fields.node(name);
    }

    ModelConfig read() {
        String name = fields.textOr("model_type", "none");
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
        int kvHeads = fields.wholeOr("num_key_value_heads", heads, 1, MAX_SIZE);
        if (heads % kvHeads != 0) {
            throw fields.wrong("num_key_value_heads", "a divisor of num_attention_heads " + heads, kvHeads);
        }
        if (!fields.has("head_dim") && hidden % heads != 0) {
            throw fields.wrong("num_attention_heads", "a divisor of hidden_size " + hidden, heads);
        }
        int headDim = fields.wholeOr("head_dim", hidden / heads, 2, MAX_HEAD_DIM);
        checkHeads("head_dim", heads, headDim);
        if (headDim % 2 != 0) {
            throw fields.wrong("head_dim", "an even number", headDim);
        }
        String act = fields.textOr("hidden_act", "silu");
        if (!act.equals("silu")) {
            throw fields.wrong("hidden_act", "silu", act);
        }
        int maxPositions = positions("max_position_embeddings", 2048, headDim);
        return finish(
                ModelConfig.Architecture.LLAMA,
                hidden,
                heads,
                kvHeads,
                headDim,
                size("intermediate_size"),
                maxPositions,
                fields.whole("num_hidden_layers", 1, MAX_LAYERS),
                fields.numberOr("rms_norm_eps", 1e-6),
                RopeScaling.read(fields, headDim, maxPositions),
                fields.flagOr("tie_word_embeddings", false));
    }

    private ModelConfig gpt2() {
        int hidden = size("n_embd");
        int heads = size("n_head");
        if (hidden % heads != 0) {
            throw fields.wrong("n_head", "a divisor of n_embd " + hidden, heads);
        }
        int headDim = hidden / heads;
        checkHeads("n_embd", heads, headDim);
        String act = fields.textOr("activation_function", "gelu_new");
        if (!act.equals("gelu_new") && !act.equals("gelu_pytorch_tanh")) {
            throw fields.wrong("activation_function", "gelu_new", act);
        }
        only("scale_attn_weights", true);
        only("scale_attn_by_inverse_layer_idx", false);
        only("add_cross_attention", false);
        return finish(
                ModelConfig.Architecture.GPT2,
                hidden,
                heads,
                heads,
                headDim,
                fields.wholeOr("n_inner", Math.min(MAX_SIZE, 4 * hidden), 1, MAX_SIZE),
                positions("n_positions", 1024, headDim),
                fields.whole("n_layer", 1, MAX_LAYERS),
                fields.numberOr("layer_norm_epsilon", 1e-5),
                new RopeConfig(new double[0], 1),
                fields.flagOr("tie_word_embeddings", true));
    }

    private int size(String name) {
        return fields.whole(name, 1, MAX_SIZE);
    }

    private void checkHeads(String name, int heads, int headDim) {
        if (headDim > MAX_HEAD_DIM || (long) heads * headDim > MAX_SIZE) {
            throw fields.wrong(
                    name,
                    "heads of at most " + MAX_HEAD_DIM + " and together at most " + MAX_SIZE + " channels",
                    heads + " heads of " + headDim);
        }
    }

    /** Longest sequence; a key/value cache of one head must stay addressable. */
    private int positions(String name, int otherwise, int headDim) {
        return fields.wholeOr(name, otherwise, 1, (1 << 30) / headDim - 64);
    }

    /** Refuses a variant of the architecture that would otherwise run as another model without a word. */
    private void only(String name, boolean supported) {
        if (fields.flagOr(name, supported) != supported) {
            throw fields.wrong(name, String.valueOf(supported), !supported);
        }
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
        Fields medusa = fields.object("medusa");
        int medusaHeads = medusa == null ? 0 : MedusaFields.heads(medusa);
        Fields attention = fields.object("attention");
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
                AttentionFields.options(attention),
                AttentionFields.layers(attention, layers),
                medusaHeads,
                MedusaFields.tree(medusa, medusaHeads));
    }
}
