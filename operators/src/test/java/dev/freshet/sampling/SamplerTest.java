package dev.freshet.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.request.SamplingParams;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SamplerTest {

    private static final float INF = Float.POSITIVE_INFINITY;
    private static final SamplingParams GREEDY =
            SamplingParams.builder().temperature(0).build();

    private static int sample(SamplingParams params, int[] forbidden, float... logits) {
        return new Sampler(logits.length).sample(logits, 0, params, new TokenHistory(new int[] {0}), forbidden);
    }

    private static int sample(SamplingParams params, float... logits) {
        return sample(params, new int[0], logits);
    }

    @Test
    void greedyTakesTheLowestOfEqualIds() {
        assertThat(sample(GREEDY, 1, 3, 3, 2)).isEqualTo(1);
        assertThat(sample(GREEDY, -0f, 0f)).isZero();
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.5, 1})
    void damagedLogitsAreAFault(double temperature) {
        SamplingParams params =
                SamplingParams.builder().temperature(temperature).build();
        SamplingParams biased = params.toBuilder().logitBias(Map.of(0, 1.0)).build();
        for (SamplingParams p : new SamplingParams[] {params, biased}) {
            assertThat(sample(p, Float.NaN, 1, 2)).isEqualTo(Sampler.NUMERIC_FAULT);
            assertThat(sample(p, 5, 1, Float.NaN)).isEqualTo(Sampler.NUMERIC_FAULT);
            assertThat(sample(p, 1, INF, 2)).isEqualTo(Sampler.NUMERIC_FAULT);
            assertThat(sample(p, INF, INF)).isEqualTo(Sampler.NUMERIC_FAULT);
            assertThat(sample(p, -INF, -INF)).isEqualTo(Sampler.NUMERIC_FAULT);
            assertThat(sample(p, -INF, -3, -INF)).isEqualTo(1);
        }
    }

    @Test
    void forbiddenIdsAreNeverDrawn() {
        for (long seed = 0; seed < 200; seed++) {
            SamplingParams params = SamplingParams.builder().seed(seed).build();
            assertThat(sample(params, new int[] {1, 2}, 0, 9, 9, 0)).isIn(0, 3);
        }
        assertThat(sample(GREEDY, new int[] {1, 2}, 0, 9, 9, 1)).isEqualTo(3);
        assertThat(sample(GREEDY, new int[] {0}, 4)).isEqualTo(Sampler.NUMERIC_FAULT);
    }

    @Test
    void drawsFollowTheDistribution() {
        float[] logits = {0, (float) Math.log(2), (float) Math.log(5)};
        int[] seen = new int[3];
        Sampler sampler = new Sampler(3);
        TokenHistory history = new TokenHistory(new int[] {0});
        SamplingParams params = SamplingParams.builder().seed(42).build();
        for (int i = 0; i < 80_000; i++) {
            int token = sampler.sample(logits, 0, params, history);
            seen[token]++;
            history.append(token);
        }
        // Four standard deviations of a binomial count are below 600.
        assertThat(seen[0]).isBetween(9_400, 10_600);
        assertThat(seen[1]).isBetween(19_400, 20_600);
        assertThat(seen[2]).isBetween(49_400, 50_600);
    }

    @Test
    void drawDependsOnSeedAndPositionAlone() {
        float[] logits = new float[1000];
        SamplingParams params = SamplingParams.builder().seed(7).build();
        TokenHistory shortPrompt = new TokenHistory(new int[] {1}, new int[] {5, 6});
        TokenHistory longPrompt = new TokenHistory(new int[] {9, 9, 9});
        Sampler busy = new Sampler(1000);
        busy.sample(logits, 0, params, shortPrompt);
        int expected = new Sampler(1000).sample(logits, 0, params, longPrompt);
        assertThat(busy.sample(logits, 0, params, shortPrompt)).isEqualTo(expected);
        assertThat(new Sampler(1000)
                        .sample(logits, 0, params.toBuilder().seed(8).build(), longPrompt))
                .isNotEqualTo(expected);
    }

    @Test
    void logitsAreNotChanged() {
        float[] logits = {1, 2, 3};
        SamplingParams params = SamplingParams.builder()
                .repetitionPenalty(2)
                .logitBias(Map.of(1, 5.0))
                .topK(1)
                .build();
        new Sampler(3).sample(logits, 0, params, new TokenHistory(new int[] {0, 1, 2}), new int[] {0});
        assertThat(logits).containsExactly(1, 2, 3);
    }

    @Test
    void logprobsSumToOne() {
        float[] logits = {0.5f, -1, 2, 0};
        Sampler sampler = new Sampler(4);
        TokenHistory history = new TokenHistory(new int[] {0});
        Logprobs all = sampler.logprobs(logits, 0, GREEDY, history, new int[0], 2, 10);
        assertThat(all.topTokens()).containsExactly(2, 0, 3, 1);
        double sum = 0;
        for (double logprob : all.topLogprobs()) {
            sum += Math.exp(logprob);
        }
        assertThat(sum).isBetween(1 - 1e-12, 1 + 1e-12);
        assertThat(all.logprob()).isEqualTo(all.topLogprobs()[0]);
    }
}
