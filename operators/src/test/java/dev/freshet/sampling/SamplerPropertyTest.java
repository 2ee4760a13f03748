package dev.freshet.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/** The fast sampler draws the very tokens of the obvious one, whatever the parameters, ties and sizes. */
class SamplerPropertyTest {

    private static void check(SamplerCase c) {
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
        check(SamplerCase.of(seed, 1 + (int) Math.floorMod(seed, 12L)));
    }

    @Property(tries = 3000, seed = "41")
    void middlingVocabulariesAgree(@ForAll long seed) {
        check(SamplerCase.of(seed, 60 + (int) Math.floorMod(seed, 500L)));
    }

    @Property(tries = 40, seed = "41")
    void largeVocabulariesAgree(@ForAll long seed) {
        check(SamplerCase.of(seed, 30_000 + (int) Math.floorMod(seed, 9000L)));
    }

    @Property(tries = 300, seed = "41")
    void logprobsAreTheLogSoftmaxBeforeTheCuts(@ForAll long seed) {
        SamplerCase c = SamplerCase.of(seed, 2 + (int) Math.floorMod(seed, 300L));
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
        float[] values = SamplerCase.logits(r, 1 + r.nextInt(300));
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
