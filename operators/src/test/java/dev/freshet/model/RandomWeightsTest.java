package dev.freshet.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.AttentionOptions;
import dev.freshet.attention.LayerAttention;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.request.ConfigError;
import dev.freshet.tensor.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class RandomWeightsTest {

    static Stream<LayerAttention> layers() {
        List<LayerAttention> all = new ArrayList<>();
        for (AttentionKind kind : AttentionKind.values()) {
            all.add(new LayerAttention(kind, false));
            if (kind.augmentable()) {
                all.add(new LayerAttention(kind, true));
            }
        }
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("layers")
    void everyKindLoadsAndGivesFiniteLogits(LayerAttention layer) {
        ModelConfig config = config(layer);
        DecoderOptions options = DecoderOptions.of(1).withContext(64).withWeights(WeightFormat.F32);
        try (Decoder decoder = Decoder.load(
                config,
                new RandomWeights(config, DType.F32, 1),
                KernelsProvider.select("reference", 1),
                options,
                layers -> {})) {
            Batch batch = new Batch(1, 8, 8);
            batch.addChunk(0, new int[] {1, 2, 3, 4}, 0, 4, true);
            decoder.forward(batch);
            float[] logits = decoder.logits();
            double low = Double.POSITIVE_INFINITY;
            double high = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < config.vocabSize(); i++) {
                assertThat(logits[i]).isFinite();
                low = Math.min(low, logits[i]);
                high = Math.max(high, logits[i]);
            }
            assertThat(high - low).isGreaterThan(1e-4);
        }
    }

    @Test
    void elementsDoNotDependOnHowTheyAreRead() {
        RandomWeights weights = new RandomWeights(config(new LayerAttention(AttentionKind.RELU, true)), DType.F32, 7);
        float[] whole = weights.floats("model.embed_tokens.weight", 50, 16);
        float[] part = new float[10];
        weights.readFloats("model.embed_tokens.weight", 123, part, 2, 8);
        assertThat(Arrays.copyOfRange(part, 2, 10)).containsExactly(Arrays.copyOfRange(whole, 123, 131));
        double square = 0;
        for (float x : whole) {
            square += x * x;
        }
        assertThat(Math.sqrt(square / whole.length)).isBetween(0.018, 0.022);
    }

    @Test
    void anotherShapeIsRefused() {
        RandomWeights weights = new RandomWeights(config(new LayerAttention(AttentionKind.RELU, true)), DType.F32, 7);
        assertThatThrownBy(() -> weights.floats("model.norm.weight", 17))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("[17]")
                .hasMessageContaining("[16]");
        assertThatThrownBy(() -> weights.info("lm_head.weight")).isInstanceOf(ConfigError.class);
    }

    private static ModelConfig config(LayerAttention layer) {
        return new ModelConfig(
                ModelConfig.Architecture.LLAMA,
                16,
                4,
                2,
                4,
                24,
                50,
                128,
                1e-6,
                new RopeConfig(new double[] {1, 0.01}, 1),
                true,
                AttentionOptions.DEFAULTS,
                List.of(layer, layer),
                0,
                List.of());
    }
}
