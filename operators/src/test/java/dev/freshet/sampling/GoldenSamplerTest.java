package dev.freshet.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.request.SamplingParams;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** Compares with vectors made outside this code: the published Random123 answers and draws of the float64 reference. */
class GoldenSamplerTest {

    private static JsonNode golden() throws IOException {
        try (InputStream in = GoldenSamplerTest.class.getResourceAsStream("/golden/sampler.json")) {
            return new ObjectMapper().readTree(Objects.requireNonNull(in));
        }
    }

    static int[] ints(JsonNode array) {
        int[] out = new int[array.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = (int) array.get(i).longValue();
        }
        return out;
    }

    @Test
    void philoxWordsAreThePublishedOnes() throws Exception {
        JsonNode vectors = golden().get("philox");
        assertThat(vectors).hasSizeGreaterThanOrEqualTo(3);
        for (JsonNode vector : vectors) {
            int[] words = ints(vector.get("counter"));
            int[] key = ints(vector.get("key"));
            CounterRng.philox(words, (long) key[1] << 32 | (key[0] & 0xffffffffL));
            assertThat(words).containsExactly(ints(vector.get("output")));
        }
    }

    @Test
    void uniformsAreEqualToTheBit() throws Exception {
        JsonNode vectors = golden().get("uniform");
        assertThat(vectors).isNotEmpty();
        for (JsonNode vector : vectors) {
            long seed = Long.parseUnsignedLong(vector.get("seed").textValue());
            long position = vector.get("position").longValue();
            assertThat(CounterRng.uniform(seed, position))
                    .isEqualTo(vector.get("u").doubleValue());
        }
    }

    @Test
    void drawsAreEqual() throws Exception {
        JsonNode draws = golden().get("draws");
        assertThat(draws).hasSizeGreaterThan(70);
        for (JsonNode draw : draws) {
            JsonNode s = draw.get("sampling");
            Map<Integer, Double> bias = new HashMap<>();
            s.get("logit_bias")
                    .fields()
                    .forEachRemaining(e ->
                            bias.put(Integer.parseInt(e.getKey()), e.getValue().doubleValue()));
            SamplingParams params = SamplingParams.builder()
                    .temperature(s.get("temperature").doubleValue())
                    .topK(s.get("top_k").intValue())
                    .topP(s.get("top_p").doubleValue())
                    .minP(s.get("min_p").doubleValue())
                    .repetitionPenalty(s.get("repetition_penalty").doubleValue())
                    .presencePenalty(s.get("presence_penalty").doubleValue())
                    .frequencyPenalty(s.get("frequency_penalty").doubleValue())
                    .logitBias(bias)
                    .seed(s.get("seed").longValue())
                    .build();
            JsonNode logits = draw.get("logits");
            int vocab = logits.size();
            // An offset of three shows that the row may lie anywhere.
            float[] row = new float[vocab + 5];
            for (int i = 0; i < vocab; i++) {
                row[3 + i] = (float) logits.get(i).doubleValue();
            }
            TokenHistory history = new TokenHistory(ints(draw.get("prompt")), ints(draw.get("output")));
            int token = new Sampler(vocab).sample(row, 3, params, history);
            assertThat(token).as("%s", s).isEqualTo(draw.get("token").intValue());
            float[] exact = java.util.Arrays.copyOfRange(row, 3, 3 + vocab);
            assertThat(DefinitionSampler.sample(exact, params, history, new int[0]))
                    .isEqualTo(token);
        }
    }
}
