package dev.freshet.model;

import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.LayerAttention;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.AttentionWeights;
import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.Matrix;
import dev.freshet.kernel.MatrixSource;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.request.ConfigError;
import dev.freshet.tensor.DType;
import dev.freshet.tensor.TensorSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** Reads the tensors of a model directory into the memory of a backend, each once. */
final class DecoderLoader {

    private final ModelConfig config;
    private final TensorSource weights;
    private final Kernels kernels;
    private final @Nullable WeightFormat format;
    private final IntConsumer progress;

    /** progress is called with the number of layers read. */
    DecoderLoader(
            ModelConfig config,
            TensorSource weights,
            Kernels kernels,
            @Nullable WeightFormat format,
            IntConsumer progress) {
        this.config = config;
        this.weights = weights;
        this.kernels = kernels;
        this.format = format;
        this.progress = progress;
    }

    DecoderWeights load() {
        return config.architecture() == ModelConfig.Architecture.LLAMA ? llama() : gpt2();
    }

    private DecoderWeights llama() {
        int d = config.hidden();
        Matrix embedding = rows("model.embed_tokens.weight", config.vocabSize(), d);
        Matrix output = config.tied() ? embedding : rows("lm_head.weight", config.vocabSize(), d);
        List<DecoderWeights.Layer> layers = new ArrayList<>();
        for (int i = 0; i < config.layers().size(); i++) {
            layers.add(llamaLayer(i));
            progress.accept(i + 1);
        }
        DecoderWeights.Norm norm = new DecoderWeights.Norm(vector("model.norm.weight", d), null);
        return new DecoderWeights(embedding, null, layers, norm, output, medusa());
    }

    private DecoderWeights.Layer llamaLayer(int i) {
        String p = "model.layers." + i + ".";
        String a = p + "self_attn.";
        int d = config.hidden();
        int q = config.heads() * config.headDim();
        int kv = config.kvHeads() * config.headDim();
        int inner = config.intermediate();
        return new DecoderWeights.Layer(
                new DecoderWeights.Norm(vector(p + "input_layernorm.weight", d), null),
                stacked(d, part(a + "q_proj", q), part(a + "k_proj", kv), part(a + "v_proj", kv)),
                stacked(q, part(a + "o_proj", d)),
                new DecoderWeights.Norm(vector(p + "post_attention_layernorm.weight", d), null),
                stacked(d, part(p + "mlp.gate_proj", inner), part(p + "mlp.up_proj", inner)),
                stacked(inner, part(p + "mlp.down_proj", d)),
                attention(i, a),
                gate(i, a));
    }

    private DecoderWeights gpt2() {
        String t = weights.has("transformer.wte.weight") ? "transformer." : "";
        int d = config.hidden();
        Matrix embedding = rows(t + "wte.weight", config.vocabSize(), d);
        Matrix positions = rows(t + "wpe.weight", config.maxPositions(), d);
        Matrix output = config.tied() ? embedding : rows("lm_head.weight", config.vocabSize(), d);
        List<DecoderWeights.Layer> layers = new ArrayList<>();
        for (int i = 0; i < config.layers().size(); i++) {
            layers.add(gpt2Layer(i, t + "h." + i + "."));
            progress.accept(i + 1);
        }
        return new DecoderWeights(embedding, positions, layers, norm(t + "ln_f"), output, medusa());
    }

    private DecoderWeights.Layer gpt2Layer(int i, String p) {
        int d = config.hidden();
        int inner = config.intermediate();
        return new DecoderWeights.Layer(
                norm(p + "ln_1"),
                conv1d(p + "attn.c_attn", 3 * d, d),
                conv1d(p + "attn.c_proj", d, d),
                norm(p + "ln_2"),
                conv1d(p + "mlp.c_fc", inner, d),
                conv1d(p + "mlp.c_proj", d, inner),
                attention(i, p + "attn."),
                gate(i, p + "attn."));
    }

    private List<DecoderWeights.MedusaHead> medusa() {
        List<DecoderWeights.MedusaHead> heads = new ArrayList<>();
        for (int k = 0; k < config.medusaHeads(); k++) {
            String p = "medusa_heads." + k + ".";
            heads.add(new DecoderWeights.MedusaHead(
                    stacked(config.hidden(), part(p + "residual", config.hidden())),
                    rows(p + "lm_head.weight", config.vocabSize(), config.hidden())));
        }
        return heads;
    }

    private DecoderWeights.Norm norm(String name) {
        return new DecoderWeights.Norm(
                vector(name + ".weight", config.hidden()), vector(name + ".bias", config.hidden()));
    }

    private Buffer vector(String name, int length) {
        return kernels.upload(weights.floats(name, length));
    }

    private WeightFormat formatOf(String name) {
        if (format != null) {
            return format;
        }
        return weights.info(name).dtype() == DType.BF16 ? WeightFormat.BF16 : WeightFormat.F32;
    }

    /** A matrix stored [n, k]. */
    private Matrix rows(String name, int n, int k) {
        check(name, n, k);
        return kernels.pack((row, out) -> weights.readFloats(name, (long) row * k, out, 0, k), n, k, formatOf(name));
    }

    private void check(String name, int n, int k) {
        if (!weights.info(name).hasShape(n, k)) {
            throw new ConfigError("Cannot read weights: tensor " + name + " expected [" + n + ", " + k + "], got "
                    + Arrays.toString(weights.info(name).shape()) + " ("
                    + weights.info(name).file()
                    + "). Check that config.json belongs to these weights.");
        }
    }

    private record Part(String name, int outputs) {}

    private static Part part(String name, int outputs) {
        return new Part(name, outputs);
    }

    /** Several [n, k] projections of the same input as one matrix, with the biases that exist. */
    private DecoderWeights.Linear stacked(int k, Part... parts) {
        int n = 0;
        boolean biased = false;
        int[] first = new int[parts.length];
        for (int i = 0; i < parts.length; i++) {
            check(parts[i].name + ".weight", parts[i].outputs, k);
            first[i] = n;
            n += parts[i].outputs;
            biased |= weights.has(parts[i].name + ".bias");
        }
        MatrixSource source = (row, out) -> {
            int i = parts.length - 1;
            while (row < first[i]) {
                i--;
            }
            weights.readFloats(parts[i].name + ".weight", (long) (row - first[i]) * k, out, 0, k);
        };
        Matrix matrix = kernels.pack(source, n, k, formatOf(parts[0].name + ".weight"));
        if (!biased) {
            return new DecoderWeights.Linear(matrix, null);
        }
        float[] bias = new float[n];
        for (int i = 0; i < parts.length; i++) {
            if (weights.has(parts[i].name + ".bias")) {
                float[] own = weights.floats(parts[i].name + ".bias", parts[i].outputs);
                System.arraycopy(own, 0, bias, first[i], own.length);
            }
        }
        return new DecoderWeights.Linear(matrix, kernels.upload(bias));
    }

    /** GPT-2 stores its projections transposed, [k, n]. */
    private DecoderWeights.Linear conv1d(String name, int n, int k) {
        float[] stored = weights.floats(name + ".weight", k, n);
        Matrix matrix = kernels.pack(
                (row, out) -> {
                    for (int c = 0; c < k; c++) {
                        out[c] = stored[c * n + row];
                    }
                },
                n,
                k,
                formatOf(name + ".weight"));
        return new DecoderWeights.Linear(matrix, vector(name + ".bias", n));
    }

    private AttentionWeights attention(int i, String p) {
        LayerAttention layer = config.layers().get(i);
        AttentionSpec spec = layer.spec(config.attention(), config.heads(), config.kvHeads(), config.headDim(), 1);
        int d = config.headDim();
        int half = spec.featureDim() / 2;
        Buffer queryMap = null;
        Buffer keyMap = null;
        switch (spec.map()) {
            case RANDOM_EXP ->
                queryMap = transposed(p + "performer.projection", 1, spec.featureDim(), d, spec.featureDim(), d);
            case SOFTMAX_PAIR -> {
                queryMap = transposed(p + "hedgehog.q_weight", config.heads(), half, d, config.heads(), half, d);
                keyMap = transposed(p + "hedgehog.k_weight", config.kvHeads(), half, d, config.kvHeads(), half, d);
            }
            case HASH ->
                queryMap = transposed(
                        p + "yoso.planes",
                        config.kvHeads(),
                        spec.hashRounds() * spec.hashBits(),
                        d,
                        config.kvHeads(),
                        spec.hashRounds(),
                        spec.hashBits(),
                        d);
            default -> {}
        }
        boolean slots = spec.past() == AttentionSpec.Past.SLOTS;
        return new AttentionWeights(
                queryMap,
                keyMap,
                slots
                        ? kernels.upload(weights.floats(p + "linformer.slots", spec.slotPositions(), spec.slotCount()))
                        : null,
                layer.kind() == AttentionKind.RETNET ? vector(p + "retnet.log_decay", config.kvHeads()) : null,
                spec.finish() == AttentionSpec.Finish.HEAD_NORM ? vector(p + "out_norm.weight", d) : null,
                layer.augmented()
                        ? kernels.upload(weights.floats(p + "conv.weight", config.heads(), spec.taps()))
                        : null,
                layer.augmented() ? weights.floats(p + "alpha", 1)[0] : 1f);
    }

    /** A tensor seen as [count, n, k], stored in the backend as [count, k, n]. */
    private Buffer transposed(String name, int count, int n, int k, long... shape) {
        float[] stored = weights.floats(name, shape);
        float[] out = new float[stored.length];
        for (int b = 0; b < count; b++) {
            for (int i = 0; i < n; i++) {
                for (int c = 0; c < k; c++) {
                    out[(b * k + c) * n + i] = stored[(b * n + i) * k + c];
                }
            }
        }
        return kernels.upload(out);
    }

    private DecoderWeights.@Nullable Gate gate(int i, String p) {
        int d = config.hidden();
        int kv = config.kvHeads();
        switch (config.layers().get(i).kind()) {
            case GLA -> {
                String name = p + "gla.gate_a.weight";
                long[] shape = weights.info(name).shape();
                int rank = shape.length == 2 ? (int) shape[0] : 0;
                Matrix first = rows(name, rank, d);
                return new DecoderWeights.Gate(
                        first, stacked(rank, part(p + "gla.gate_b", kv * config.headDim())), null, null);
            }
            case GATED_DELTANET -> {
                DecoderWeights.Linear both = stacked(d, part(p + "gdn.beta", kv), part(p + "gdn.a", kv));
                return new DecoderWeights.Gate(
                        both.weight(), null, vector(p + "gdn.A_log", kv), vector(p + "gdn.dt_bias", kv));
            }
            default -> {
                return null;
            }
        }
    }
}
