package dev.freshet.sampling;

import dev.freshet.request.SamplingParams;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** The obvious sampler: follows the rules word by word and sorts everything. The fast one must agree with it exactly. */
final class DefinitionSampler {

    private DefinitionSampler() {}

    static double[] processed(float[] logits, SamplingParams params, TokenHistory history, int[] forbidden) {
        double[] x = new double[logits.length];
        for (int t = 0; t < x.length; t++) {
            x[t] = logits[t];
            x[t] += params.logitBias().getOrDefault(t, 0.0);
            int inOutput = 0;
            boolean seen = false;
            for (int i = 0; i < history.length(); i++) {
                if (history.token(i) == t) {
                    seen = true;
                    inOutput += i >= history.promptLength() ? 1 : 0;
                }
            }
            if (seen) {
                x[t] = x[t] > 0 ? x[t] / params.repetitionPenalty() : x[t] * params.repetitionPenalty();
            }
            if (inOutput > 0) {
                x[t] -= params.frequencyPenalty() * inOutput + params.presencePenalty();
            }
        }
        for (int t : forbidden) {
            x[t] = Double.NEGATIVE_INFINITY;
        }
        return x;
    }

    static int sample(float[] logits, SamplingParams params, TokenHistory history, int[] forbidden) {
        for (float v : logits) {
            if (Float.isNaN(v) || v == Float.POSITIVE_INFINITY) {
                return Sampler.NUMERIC_FAULT;
            }
        }
        double[] x = processed(logits, params, history, forbidden);
        List<Integer> order = descending(x);
        if (x[order.get(0)] == Double.NEGATIVE_INFINITY) {
            return Sampler.NUMERIC_FAULT;
        }
        if (params.temperature() == 0 || Double.isInfinite(x[order.get(0)] / params.temperature())) {
            return order.get(0);
        }
        for (int t = 0; t < x.length; t++) {
            x[t] /= params.temperature();
        }
        order = descending(x);
        double best = x[order.get(0)];
        List<Integer> kept = new ArrayList<>();
        for (int t : order) {
            boolean probable = params.minP() == 0 || x[t] - best >= StrictMath.log(params.minP());
            if (probable && x[t] > Double.NEGATIVE_INFINITY) {
                kept.add(t);
            }
        }
        if (params.topK() > 0 && params.topK() < kept.size()) {
            kept = kept.subList(0, params.topK());
        }
        if (params.topP() < 1) {
            double total = 0;
            for (int t : kept.stream().sorted().toList()) {
                total += StrictMath.exp(x[t] - best);
            }
            List<Integer> nucleus = new ArrayList<>();
            double before = 0;
            for (int t : kept) {
                if (nucleus.isEmpty() || before < params.topP() * total) {
                    nucleus.add(t);
                }
                before += StrictMath.exp(x[t] - best);
            }
            kept = nucleus;
        }
        kept = kept.stream().sorted().toList();
        double total = 0;
        for (int t : kept) {
            total += StrictMath.exp(x[t] - best);
        }
        double target = CounterRng.uniform(params.seed(), history.length()) * total;
        double sum = 0;
        for (int t : kept) {
            sum += StrictMath.exp(x[t] - best);
            if (sum > target || sum == total) {
                return t;
            }
        }
        throw new AssertionError("the last sum is the total");
    }

    /** Ids by value, largest first, equal values (0 and -0 too) by id. */
    static List<Integer> descending(double[] x) {
        List<Integer> order = new ArrayList<>();
        for (int t = 0; t < x.length; t++) {
            order.add(t);
        }
        order.sort(Comparator.<Integer>comparingDouble(t -> -x[t] + 0.0).thenComparing(t -> t));
        return order;
    }
}
