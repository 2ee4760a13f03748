package dev.freshet.model;

import dev.freshet.attention.LayerAttention;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.request.ConfigError;
import dev.freshet.tensor.DType;
import dev.freshet.tensor.TensorInfo;
import dev.freshet.tensor.TensorSource;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Weights of a Llama decoder made up on the fly, for measuring speed without files. Each element is a function of seed, tensor name
 * and index alone: norms and scales are 1, the rest is uniform with standard deviation 0.02. Immutable.
 */
public final class RandomWeights implements TensorSource {

    private static final long GOLDEN = 0x9e3779b97f4a7c15L;
    private static final float SPREAD = 0.02f * 1.7320508f;
    private static final int GATE_RANK = 16;

    private final Map<String, TensorInfo> tensors = new HashMap<>();
    private final long seed;
    private final DType dtype;

    /** Lays out the tensors that a Llama model of these shapes has; dtype is what they claim to be stored as. */
    public RandomWeights(ModelConfig config, DType dtype, long seed) {
        if (config.architecture() != ModelConfig.Architecture.LLAMA || config.medusaHeads() > 0) {
            throw new IllegalArgumentException("Cannot make up weights: expected a Llama model without draft heads");
        }
        this.seed = seed;
        this.dtype = dtype;
        int d = config.hidden();
        add("model.embed_tokens.weight", config.vocabSize(), d);
        add("model.norm.weight", d);
        if (!config.tied()) {
            add("lm_head.weight", config.vocabSize(), d);
        }
        for (int i = 0; i < config.layers().size(); i++) {
            addLayer(config, "model.layers." + i + ".", config.layers().get(i));
        }
    }

    private void addLayer(ModelConfig c, String p, LayerAttention layer) {
        String a = p + "self_attn.";
        int d = c.hidden();
        add(p + "input_layernorm.weight", d);
        add(p + "post_attention_layernorm.weight", d);
        add(a + "q_proj.weight", (long) c.heads() * c.headDim(), d);
        add(a + "k_proj.weight", (long) c.kvHeads() * c.headDim(), d);
        add(a + "v_proj.weight", (long) c.kvHeads() * c.headDim(), d);
        add(a + "o_proj.weight", d, (long) c.heads() * c.headDim());
        add(p + "mlp.gate_proj.weight", c.intermediate(), d);
        add(p + "mlp.up_proj.weight", c.intermediate(), d);
        add(p + "mlp.down_proj.weight", d, c.intermediate());
        addAttention(c, a, layer);
    }

    private void addAttention(ModelConfig c, String a, LayerAttention layer) {
        AttentionSpec spec = layer.spec(c.attention(), c.heads(), c.kvHeads(), c.headDim(), 1);
        int half = spec.featureDim() / 2;
        switch (spec.map()) {
            case RANDOM_EXP -> add(a + "performer.projection", spec.featureDim(), c.headDim());
            case SOFTMAX_PAIR -> {
                add(a + "hedgehog.q_weight", c.heads(), half, c.headDim());
                add(a + "hedgehog.k_weight", c.kvHeads(), half, c.headDim());
            }
            case HASH -> add(a + "yoso.planes", c.kvHeads(), spec.hashRounds(), spec.hashBits(), c.headDim());
            default -> {}
        }
        if (layer.augmented()) {
            add(a + "conv.weight", c.heads(), spec.taps());
            add(a + "alpha", 1);
        }
        if (spec.finish() == AttentionSpec.Finish.HEAD_NORM) {
            add(a + "out_norm.weight", c.headDim());
        }
        switch (layer.kind()) {
            case LINFORMER -> add(a + "linformer.slots", spec.slotPositions(), spec.slotCount());
            case RETNET -> add(a + "retnet.log_decay", c.kvHeads());
            case GLA -> {
                add(a + "gla.gate_a.weight", GATE_RANK, c.hidden());
                add(a + "gla.gate_b.weight", (long) c.kvHeads() * c.headDim(), GATE_RANK);
            }
            case GATED_DELTANET -> {
                add(a + "gdn.beta.weight", c.kvHeads(), c.hidden());
                add(a + "gdn.a.weight", c.kvHeads(), c.hidden());
                add(a + "gdn.A_log", c.kvHeads());
                add(a + "gdn.dt_bias", c.kvHeads());
            }
            default -> {}
        }
    }

    private void add(String name, long... shape) {
        long elements = Arrays.stream(shape).reduce(1, Math::multiplyExact);
        tensors.put(name, new TensorInfo(name, dtype, shape, 0, elements * dtype.bytes(), Path.of("random")));
    }

    @Override
    public boolean has(String name) {
        return tensors.containsKey(name);
    }

    @Override
    public TensorInfo info(String name) {
        TensorInfo info = tensors.get(name);
        if (info == null) {
            throw new ConfigError("Cannot make up weights: no tensor " + name + " belongs to this model.");
        }
        return info;
    }

    @Override
    public void readFloats(String name, long firstElement, float[] out, int outOffset, int count) {
        if (name.endsWith("norm.weight") || name.endsWith("alpha")) {
            Arrays.fill(out, outOffset, outOffset + count, 1f);
            return;
        }
        boolean decay = name.endsWith("log_decay");
        long stream = mix(seed ^ ((long) name.hashCode() << 32));
        for (int i = 0; i < count; i++) {
            long bits = mix(stream + GOLDEN * (firstElement + i));
            float x = ((bits >> 40) * 0x1p-23f) * SPREAD;
            out[outOffset + i] = decay ? -Math.abs(x) : x;
        }
    }

    /** The finaliser of SplitMix64 (Steele, Lea and Flood 2014). */
    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }

    @Override
    public float[] floats(String name, long... expectedShape) {
        TensorInfo info = info(name);
        if (!info.hasShape(expectedShape)) {
            throw new ConfigError("Cannot make up weights: tensor " + name + " expected "
                    + Arrays.toString(expectedShape) + ", got " + Arrays.toString(info.shape()) + ".");
        }
        float[] out = new float[Math.toIntExact(info.elements())];
        readFloats(name, 0, out, 0, out.length);
        return out;
    }
}
