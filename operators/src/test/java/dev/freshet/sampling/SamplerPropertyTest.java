package dev.freshet.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.request.SamplingParams;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/** The fast sampler draws the very tokens of the obvious one, whatever the parameters, ties and sizes. */
class SamplerPropertyTest {

    private static final double[] TEMPERATURES = {0, 0, 1e-320, 1e-5, 0.3, 0.7, 1, 1, 1.5, 4, 1e30};
    private static final double[] TOP_P = {1, 1, 0.999999, 0.95, 0.9, 0.5, 0.1, 1e-9};
    private static final double[] MIN_P = {0, 0, 0, 1e-12, 0.01, 0.1, 0.5, 1};
    private static final double[] REPETITION = {1, 1, 1, 0.5, 1.1, 2};
    private static final double[] PENALTY = {0, 0, 0, -2, 0.3, 1.7};

    /** One random situation. */
    record Case(float[] logits, SamplingParams params, TokenHistory history, int[] forbidden) {

        static Case of(long seed, int vocab) {
            SplittableRandom r = new SplittableRandom(seed);
            float[] logits = logits(r, vocab);
            int[] prompt = tokens(r, vocab, 1 + r.nextInt(20));
            int[] output = tokens(r, vocab, r.nextInt(40));
            Map<Integer, Double> bias = new HashMap<>();
            if (r.nextInt(4) == 0) {
                for (int i = r.nextInt(6); i > 0; i--) {
                    bias.put(r.nextInt(vocab), r.nextInt(-200, 201) / 2.0);
                }
            }
            int[] topK = {0, 0, 1, 2, 5, 40, vocab - 1, vocab, vocab + 1, 1 + r.nextInt(vocab)};
            SamplingParams params = SamplingParams.builder()
                    .temperature(pick(r, TEMPERATURES))
                    .topP(pick(r, TOP_P))
                    .minP(pick(r, MIN_P))
                    .topK(Math.max(0, topK[r.nextInt(topK.length)]))
                    .repetitionPenalty(pick(r, REPETITION))
                    .presencePenalty(pick(r, PENALTY))
                    .frequencyPenalty(pick(r, PENALTY))
                    .logitBias(bias)
                    .seed(r.nextLong())
                    .build();
            int[] forbidden = r.nextInt(4) == 0 ? tokens(r, vocab, 1 + r.nextInt(3)) : new int[0];
            return new Case(logits, params, new TokenHistory(prompt, output), forbidden);
        }

        private static double pick(SplittableRandom r, double[] values) {
            return values[r.nextInt(values.length)];
        }

        private static int[] tokens(SplittableRandom r, int vocab, int n) {
            return r.ints(n, 0, vocab).toArray();
        }

        private static float[] logits(SplittableRandom r, int vocab) {
            float[] logits = new float[vocab];
            int style = r.nextInt(6);
            for (int i = 0; i < vocab; i++) {
                double normal = 0;
                for (int j = 0; j < 6; j++) {
                    normal += r.nextDouble() - 0.5;
                }
                logits[i] = switch (style) {
                    case 0 -> (float) (3 * normal);
                    // Few distinct values, among them both zeros: ties everywhere.
                    case 1 -> r.nextInt(-2, 3) * (r.nextBoolean() ? 1f : -1f);
                    case 2 -> 0.25f * r.nextInt(12);
                    // One peak far above the rest.
                    case 3 -> i == vocab / 2 ? 60 : (float) normal;
                    case 4 -> r.nextInt(3) == 0 ? Float.NEGATIVE_INFINITY : (float) (10 * normal);
                    default -> (float) (1000 * normal);
                };
            }
            return logits;
        }
    }

    private static void check(Case c) {
        Sampler sampler = new Sampler(c.logits().length);
        int expected = DefinitionSampler.sample(c.logits(), c.params(), c.history(), c.forbidden());
        float[] shifted = new float[c.logits().length + 7];
        Arrays.fill(shifted, Float.NaN);
        System.arraycopy(c.logits(), 0, shifted, 4, c.logits().length);
        for (int again = 0; again < 2; again++) {
            assertThat(sampler.sample(shifted, 4, c.params(), c.history(), c.forbidden()))
                    .as("%s", c.params())
                    .isEqualTo(expected);
        }
    }

    @Property(tries = 6000, seed = "41")
    void tinyVocabulariesAgree(@ForAll long seed) {
        check(Case.of(seed, 1 + (int) Math.floorMod(seed, 12L)));
    }

    @Property(tries = 3000, seed = "41")
    void middlingVocabulariesAgree(@ForAll long seed) {
        check(Case.of(seed, 60 + (int) Math.floorMod(seed, 500L)));
    }

    @Property(tries = 40, seed = "41")
    void largeVocabulariesAgree(@ForAll long seed) {
        check(Case.of(seed, 30_000 + (int) Math.floorMod(seed, 9000L)));
    }

    @Property(tries = 300, seed = "41")
    void logprobsAreTheLogSoftmaxBeforeTheCuts(@ForAll long seed) {
        Case c = Case.of(seed, 2 + (int) Math.floorMod(seed, 300L));
        int vocab = c.logits().length;
        Sampler sampler = new Sampler(vocab);
        int token = sampler.sample(c.logits(), 0, c.params(), c.history(), c.forbidden());
        if (token == Sampler.NUMERIC_FAULT) {
            return;
        }
        double[] x = DefinitionSampler.processed(c.logits(), c.params(), c.history(), c.forbidden());
        double sum = 0;
        double best = Arrays.stream(x).max().orElseThrow();
        for (double v : x) {
            sum += StrictMath.exp(v - best);
        }
        int k = (int) Math.floorMod(seed, 25L);
        Logprobs got = sampler.logprobs(c.logits(), 0, c.params(), c.history(), c.forbidden(), token, k);
        assertThat(got.token()).isEqualTo(token);
        assertThat(got.logprob()).isEqualTo(x[token] - (best + StrictMath.log(sum)));
        int[] expected = DefinitionSampler.descending(x).stream()
                .limit(k)
                .mapToInt(i -> i)
                .toArray();
        assertThat(got.topTokens()).containsExactly(expected);
        for (int i = 0; i < got.topTokens().length; i++) {
            assertThat(got.topLogprobs()[i]).isEqualTo(x[got.topTokens()[i]] - (best + StrictMath.log(sum)));
        }
    }

    @Property(tries = 500, seed = "41")
    void topTokensAreTheHeadOfTheSortedList(@ForAll long seed) {
        SplittableRandom r = new SplittableRandom(seed);
        float[] values = Case.logits(r, 1 + r.nextInt(300));
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        int k = r.nextInt(values.length + 1);
        int[] fromFloats = new int[k];
        int[] fromDoubles = new int[k];
        TopTokens top = new TopTokens();
        top.select(values, 0, values.length, k, fromFloats);
        top.select(wide, wide.length, k, fromDoubles);
        int[] expected = DefinitionSampler.descending(wide).stream()
                .limit(k)
                .mapToInt(i -> i)
                .toArray();
        assertThat(fromFloats).containsExactly(expected);
        assertThat(fromDoubles).containsExactly(expected);
    }

    @Property(tries = 500, seed = "41")
    void historyCountsAreThoseOfAList(@ForAll long seed) {
        SplittableRandom r = new SplittableRandom(seed);
        int[] prompt = r.ints(r.nextInt(200), 0, 150).toArray();
        int[] output = r.ints(r.nextInt(200), 0, 150).toArray();
        TokenHistory history = new TokenHistory(prompt, Arrays.copyOf(output, output.length / 2));
        int ask = r.nextInt(2);
        for (int i = output.length / 2; i < output.length; i++) {
            if (ask == 1) {
                history.outputCount(0);
            }
            history.append(output[i]);
        }
        assertThat(history.length()).isEqualTo(prompt.length + output.length);
        assertThat(history.prompt()).containsExactly(prompt);
        assertThat(history.output()).containsExactly(output);
        for (int t = 0; t < 150; t++) {
            int token = t;
            assertThat(history.outputCount(t)).isEqualTo((int)
                    Arrays.stream(output).filter(o -> o == token).count());
            assertThat(history.inPrompt(t)).isEqualTo(Arrays.stream(prompt).anyMatch(p -> p == token));
        }
    }
}
