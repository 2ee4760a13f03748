package dev.freshet.sampling;

import dev.freshet.request.SamplingParams;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;

/** One random situation of the sampler: parameters at their edges, logits with ties, gaps and infinities. */
record SamplerCase(float[] logits, SamplingParams params, TokenHistory history, int[] forbidden) {

    private static final double[] TEMPERATURES = {0, 0, 1e-320, 1e-5, 0.3, 0.7, 1, 1, 1.5, 4, 1e30};
    private static final double[] TOP_P = {1, 1, 0.999999, 0.95, 0.9, 0.5, 0.1, 1e-9};
    private static final double[] MIN_P = {0, 0, 0, 1e-12, 0.01, 0.1, 0.5, 1};
    private static final double[] REPETITION = {1, 1, 1, 0.5, 1.1, 2};
    private static final double[] PENALTY = {0, 0, 0, -2, 0.3, 1.7};

    static SamplerCase of(long seed, int vocab) {
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
        return new SamplerCase(logits, params, new TokenHistory(prompt, output), forbidden);
    }

    private static double pick(SplittableRandom r, double[] values) {
        return values[r.nextInt(values.length)];
    }

    private static int[] tokens(SplittableRandom r, int vocab, int n) {
        return r.ints(n, 0, vocab).toArray();
    }

    static float[] logits(SplittableRandom r, int vocab) {
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
