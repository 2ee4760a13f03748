package dev.freshet.cli;

import dev.freshet.attention.AttentionOptions;
import dev.freshet.attention.LayerAttention;
import dev.freshet.model.ModelConfig;
import dev.freshet.model.RopeConfig;
import dev.freshet.request.ConfigError;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;

/** Shapes of well-known small Llama models, for measuring speed without their weights. */
enum BenchShape {
    /** Of stories15M. */
    S15M("15m", 288, 768, 6, 6, 6, true),
    /** Of stories110M. */
    S110M("110m", 768, 2048, 12, 12, 12, true),
    /** Of TinyLlama 1.1B. */
    S1B("1b", 2048, 5632, 22, 32, 4, false);

    private static final int VOCABULARY = 32_000;
    private static final int CONTEXT = 1 << 20;
    private static final double THETA = 10_000;

    private final String id;
    private final int hidden;
    private final int intermediate;
    private final int layers;
    private final int heads;
    private final int kvHeads;
    private final boolean tied;

    BenchShape(String id, int hidden, int intermediate, int layers, int heads, int kvHeads, boolean tied) {
        this.id = id;
        this.hidden = hidden;
        this.intermediate = intermediate;
        this.layers = layers;
        this.heads = heads;
        this.kvHeads = kvHeads;
        this.tied = tied;
    }

    /** The shape of a name. */
    static BenchShape of(String name) {
        for (BenchShape shape : values()) {
            if (shape.id.equals(name)) {
                return shape;
            }
        }
        throw new ConfigError("Cannot measure: --shape expected one of "
                + Arrays.stream(values()).map(s -> s.id).collect(Collectors.joining(", ")) + ", got " + name + ".");
    }

    /** A model of this shape with the same attention in every layer and a context that ends far beyond any measurement. */
    ModelConfig config(LayerAttention attention) {
        int headDim = hidden / heads;
        double[] frequencies = new double[headDim / 2];
        for (int c = 0; c < frequencies.length; c++) {
            frequencies[c] = StrictMath.pow(THETA, -2.0 * c / headDim);
        }
        List<LayerAttention> all = Collections.nCopies(layers, attention);
        return new ModelConfig(
                ModelConfig.Architecture.LLAMA,
                hidden,
                heads,
                kvHeads,
                headDim,
                intermediate,
                VOCABULARY,
                CONTEXT,
                1e-5,
                new RopeConfig(frequencies, 1),
                tied,
                AttentionOptions.DEFAULTS,
                all,
                0,
                List.of());
    }
}
