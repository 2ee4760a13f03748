package dev.freshet.model;

import dev.freshet.sampling.CounterRng;
import dev.freshet.tensor.DType;
import dev.freshet.tensor.SafetensorsWriter;
import dev.freshet.tensor.SafetensorsWriter.Tensor;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes small Llama model directories with random weights, all kinds and Medusa heads, for tests of any module. */
public final class TestModels {

    /**
     * Shape of a test model.
     *
     * @param kind attention kind, with "+" for the augmented form
     * @param vocab number of tokens
     * @param layers number of layers
     * @param group group size
     * @param medusa number of Medusa heads, with a tree of 16 nodes
     * @param context max_position_embeddings
     * @param seed key of the random weights
     */
    public record Shape(String kind, int vocab, int layers, int group, int medusa, int context, long seed) {

        /** The same with another kind. */
        public Shape withKind(String other) {
            return new Shape(other, vocab, layers, group, medusa, context, seed);
        }
    }

    /** A softmax Llama of two layers for the tokenizer of the test resources. */
    public static final Shape TINY = new Shape("softmax", 400, 2, 16, 0, 512, 1);

    private static final int HIDDEN = 32;
    private static final int HEADS = 4;
    private static final int KV = 2;
    private static final int HEAD_DIM = 8;
    private static final int INNER = 48;
    private static final int FEATURES = 16;

    private final Shape shape;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private long drawn;

    private TestModels(Shape shape) {
        this.shape = shape;
    }

    /** Writes config.json, model.safetensors and, where the test resources have one that fits, tokenizer.json; returns the directory. */
    public static Path write(Path directory, Shape shape) {
        TestModels model = new TestModels(shape);
        model.fill();
        try {
            Files.createDirectories(directory);
            Files.writeString(directory.resolve("config.json"), model.config());
            SafetensorsWriter.write(directory.resolve("model.safetensors"), model.tensors, DType.F32);
            try (InputStream tokenizer = TestModels.class.getResourceAsStream("/tokenizer/tokenizer.json")) {
                if (tokenizer != null) {
                    Files.write(directory.resolve("tokenizer.json"), tokenizer.readAllBytes());
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return directory;
    }

    private boolean augmented() {
        return shape.kind.endsWith("+");
    }

    private String kind() {
        return augmented() ? shape.kind.substring(0, shape.kind.length() - 1) : shape.kind;
    }

    private String config() {
        String medusa = shape.medusa == 0
                ? ""
                : ",\"medusa\":{\"num_heads\":" + shape.medusa
                        + ",\"tree\":[[0],[1],[2],[3],[0,0],[0,1],[0,2],[1,0],[1,1],[2,0],[0,0,0],[0,0,1],[0,1,0],[1,0,0],[0,2,0]]}";
        return """
                {"model_type":"llama","hidden_size":%d,"num_attention_heads":%d,"num_key_value_heads":%d,"head_dim":%d,
                "intermediate_size":%d,"num_hidden_layers":%d,"vocab_size":%d,"max_position_embeddings":%d,
                "bos_token_id":0,"eos_token_id":1,"rms_norm_eps":1e-5,"tie_word_embeddings":false,
                "attention":{"kind":"%s","augmented":%s,"group_size":%d,"conv_taps":8,"feature_dim":%d,"hash_rounds":4,
                "hash_bits":3,"slots":8,"slot_positions":12}%s}
                """
                .formatted(
                        HIDDEN,
                        HEADS,
                        KV,
                        HEAD_DIM,
                        INNER,
                        shape.layers,
                        shape.vocab,
                        shape.context,
                        kind(),
                        augmented(),
                        shape.group,
                        FEATURES,
                        medusa);
    }

    private void fill() {
        put("model.embed_tokens.weight", 0.6, 0, shape.vocab, HIDDEN);
        put("lm_head.weight", 0.6, 0, shape.vocab, HIDDEN);
        put("model.norm.weight", 0.1, 1, HIDDEN);
        for (int i = 0; i < shape.layers; i++) {
            String p = "model.layers." + i + ".";
            put(p + "input_layernorm.weight", 0.1, 1, HIDDEN);
            put(p + "post_attention_layernorm.weight", 0.1, 1, HIDDEN);
            linear(p + "self_attn.q_proj.weight", HEADS * HEAD_DIM, HIDDEN);
            linear(p + "self_attn.k_proj.weight", KV * HEAD_DIM, HIDDEN);
            linear(p + "self_attn.v_proj.weight", KV * HEAD_DIM, HIDDEN);
            linear(p + "self_attn.o_proj.weight", HIDDEN, HEADS * HEAD_DIM);
            linear(p + "mlp.gate_proj.weight", INNER, HIDDEN);
            linear(p + "mlp.up_proj.weight", INNER, HIDDEN);
            linear(p + "mlp.down_proj.weight", HIDDEN, INNER);
            attention(p + "self_attn.");
        }
        for (int k = 0; k < shape.medusa; k++) {
            put("medusa_heads." + k + ".residual.weight", 0.1, 0, HIDDEN, HIDDEN);
            put("medusa_heads." + k + ".residual.bias", 0.1, 0, HIDDEN);
            // Close to the output head, so that some guesses are right.
            tensors.put("medusa_heads." + k + ".lm_head.weight", tensor("lm_head.weight"));
        }
    }

    private void attention(String p) {
        if (augmented()) {
            put(p + "conv.weight", 0.2, 0, HEADS, 8);
            tensors.put(p + "alpha", Tensor.of(new float[] {0.3f}, 1));
        }
        switch (kind()) {
            case "performer" -> put(p + "performer.projection", 1, 0, FEATURES, HEAD_DIM);
            case "hedgehog" -> {
                put(p + "hedgehog.q_weight", 0.4, 0, HEADS, FEATURES / 2, HEAD_DIM);
                put(p + "hedgehog.k_weight", 0.4, 0, KV, FEATURES / 2, HEAD_DIM);
            }
            case "yoso" -> put(p + "yoso.planes", 1, 0, KV, 4, 3, HEAD_DIM);
            case "linformer" -> put(p + "linformer.slots", 0.1, 0.12, 12, 8);
            case "retnet" -> {
                tensors.put(p + "retnet.log_decay", Tensor.of(new float[] {-0.3f, -0.1f}, KV));
                put(p + "out_norm.weight", 0.1, 1, HEAD_DIM);
            }
            case "gla" -> {
                linear(p + "gla.gate_a.weight", 4, HIDDEN);
                linear(p + "gla.gate_b.weight", KV * HEAD_DIM, 4);
                put(p + "gla.gate_b.bias", 1, 0, KV * HEAD_DIM);
                put(p + "out_norm.weight", 0.1, 1, HEAD_DIM);
            }
            case "gated_deltanet" -> {
                linear(p + "gdn.beta.weight", KV, HIDDEN);
                linear(p + "gdn.a.weight", KV, HIDDEN);
                put(p + "gdn.A_log", 1, 0, KV);
                put(p + "gdn.dt_bias", 1, 0, KV);
                put(p + "out_norm.weight", 0.1, 1, HEAD_DIM);
            }
            default -> {}
        }
    }

    private void linear(String name, int out, int in) {
        put(name, 1.3 / Math.sqrt(in), 0, out, in);
    }

    /** Sum of four uniforms, scaled to the given deviation: bell-shaped enough and the same on every machine. */
    private void put(String name, double deviation, double mean, long... dims) {
        int n = 1;
        for (long dim : dims) {
            n = (int) (n * dim);
        }
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            double sum = -2;
            for (int u = 0; u < 4; u++) {
                sum += CounterRng.uniform(shape.seed, drawn++);
            }
            values[i] = (float) (mean + deviation * sum * Math.sqrt(3));
        }
        tensors.put(name, Tensor.of(values, dims));
    }

    private Tensor tensor(String name) {
        @Nullable Tensor found = tensors.get(name);
        if (found == null) {
            throw new IllegalStateException(name);
        }
        return found;
    }
}
