package dev.freshet.sampling;

import dev.freshet.request.SamplingParams;
import java.util.Arrays;
import java.util.Map;

/**
 * Draws the token of a position from its logits. The order is: logit bias, repetition, frequency and presence penalty, forbidden
 * ids, then at temperature 0 the largest value (ties: lowest id), otherwise temperature, min_p, top_k, top_p and the draw with
 * {@link CounterRng}. All of it in double precision.
 *
 * <p>The cuts min_p, top_k and top_p each keep a head of the tokens in descending order of value, ties by id. So a head is kept as
 * its length alone: its smallest value and how many tokens of exactly that value belong to it. Only the few values around the end
 * of the head are ever sorted, and the tokens stay in order of id, as the draw needs them.
 *
 * <p>Exponentials are StrictMath's: Math.exp may be an intrinsic whose last bit differs from machine to machine or from interpreted
 * to compiled code, and a token may hang on it.
 *
 * <p>Scratch memory is claimed once and reused. Confined to the engine thread.
 */
public final class Sampler {

    /** Returned for logits with a NaN or +Inf, or with nothing but -Inf. */
    public static final int NUMERIC_FAULT = -1;

    private static final int[] NONE = {};

    private final int vocab;
    private final double[] logits;
    private final int[] ids;
    private final double[] values;
    private final double[] sums;
    private final HeadCut cut;
    private final TopTokens top = new TopTokens();
    private int[] topScratch = new int[32];

    /** Creates a sampler for a vocabulary of this size. */
    public Sampler(int vocab) {
        this.vocab = vocab;
        logits = new double[vocab];
        ids = new int[vocab];
        values = new double[vocab];
        sums = new double[vocab];
        cut = new HeadCut(vocab);
    }

    /**
     * Draws the token at position {@code history.length()}.
     *
     * @param in in, logits [vocab] from offset on; not changed
     * @param offset first logit
     * @param params sampling parameters; the ids of logit_bias lie in the vocabulary
     * @param history tokens before this one
     * @param forbidden ids that must not be drawn, for example the stop ids before min_tokens; may be empty
     * @return a token, or {@link #NUMERIC_FAULT}
     */
    public int sample(float[] in, int offset, SamplingParams params, TokenHistory history, int[] forbidden) {
        boolean changed = forbidden.length > 0
                || params.penalised()
                || !params.logitBias().isEmpty();
        if (params.greedy() && !changed) {
            return argmax(in, offset);
        }
        if (!process(in, offset, params, history, forbidden)) {
            return NUMERIC_FAULT;
        }
        int best = argmax();
        if (best < 0) {
            return NUMERIC_FAULT;
        }
        double peak = logits[best] / params.temperature();
        // A temperature so small that the quotient overflows is greedy, as is 0.
        if (params.greedy() || Double.isInfinite(peak)) {
            return best;
        }
        return draw(params, peak, CounterRng.uniform(params.seed(), history.length()));
    }

    /** Draws without forbidden ids. */
    public int sample(float[] in, int offset, SamplingParams params, TokenHistory history) {
        return sample(in, offset, params, history, NONE);
    }

    /**
     * Log-probabilities at a position whose token has been drawn with the same arguments and is no fault.
     *
     * @param token the drawn token
     * @param alternatives number of most probable tokens to report, cut at the vocabulary
     */
    public Logprobs logprobs(
            float[] in,
            int offset,
            SamplingParams params,
            TokenHistory history,
            int[] forbidden,
            int token,
            int alternatives) {
        process(in, offset, params, history, forbidden);
        double best = logits[Math.max(argmax(), 0)];
        double sum = 0;
        for (int i = 0; i < vocab; i++) {
            sum += StrictMath.exp(logits[i] - best);
        }
        double normaliser = best + StrictMath.log(sum);
        int k = Math.min(alternatives, vocab);
        if (topScratch.length < k) {
            topScratch = new int[k];
        }
        top.select(logits, vocab, k, topScratch);
        int[] tokens = Arrays.copyOf(topScratch, k);
        double[] logprobs = new double[k];
        for (int i = 0; i < k; i++) {
            logprobs[i] = logits[tokens[i]] - normaliser;
        }
        return new Logprobs(token, logits[token] - normaliser, tokens, logprobs);
    }

    private int argmax(float[] in, int offset) {
        int arg = NUMERIC_FAULT;
        float best = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < vocab; i++) {
            float v = in[offset + i];
            if (v > best) {
                best = v;
                arg = i;
            } else if (Float.isNaN(v)) {
                return NUMERIC_FAULT;
            }
        }
        return best == Float.POSITIVE_INFINITY ? NUMERIC_FAULT : arg;
    }

    private int argmax() {
        int arg = NUMERIC_FAULT;
        double best = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < vocab; i++) {
            if (logits[i] > best) {
                best = logits[i];
                arg = i;
            }
        }
        return best == Double.POSITIVE_INFINITY ? NUMERIC_FAULT : arg;
    }

    /** Fills the scratch logits with steps one to four and the forbidden ids; false when there is a NaN or +Inf among them. */
    private boolean process(float[] in, int offset, SamplingParams params, TokenHistory history, int[] forbidden) {
        boolean sound = true;
        for (int i = 0; i < vocab; i++) {
            double v = in[offset + i];
            logits[i] = v;
            sound &= v < Double.POSITIVE_INFINITY;
        }
        if (!sound) {
            return false;
        }
        for (Map.Entry<Integer, Double> bias : params.logitBias().entrySet()) {
            logits[bias.getKey()] += bias.getValue();
        }
        if (params.penalised()) {
            penalise(params, history.counts());
        }
        for (int id : forbidden) {
            logits[id] = Double.NEGATIVE_INFINITY;
        }
        return true;
    }

    private void penalise(SamplingParams params, TokenHistory.Counts counts) {
        double repetition = params.repetitionPenalty();
        for (int slot = 0; slot < counts.slots(); slot++) {
            if (counts.free(slot)) {
                continue;
            }
            int token = counts.token[slot];
            int count = counts.output[slot];
            double v = logits[token];
            if (repetition != 1) {
                v = v > 0 ? v / repetition : v * repetition;
            }
            if (count > 0) {
                v -= params.frequencyPenalty() * count + params.presencePenalty();
            }
            logits[token] = v;
        }
    }

    private int draw(SamplingParams params, double peak, double uniform) {
        int n = temper(params.temperature(), peak, params.minP());
        if (params.topK() > 0 && params.topK() < n) {
            n = cut.keepLargest(ids, values, n, peak, params.topK());
        }
        if (params.topP() < 1) {
            weigh(n, peak);
            n = cut.keepMass(ids, values, n, peak, params.topP() * sums[n - 1]);
        }
        weigh(n, peak);
        return ids[search(n, uniform * sums[n - 1])];
    }

    /** Divides by the temperature and keeps, in order of id, what min_p keeps; tokens of probability 0 are dropped. */
    private int temper(double temperature, double peak, double minP) {
        double floor = minP > 0 ? StrictMath.log(minP) : Double.NEGATIVE_INFINITY;
        int n = 0;
        for (int i = 0; i < vocab; i++) {
            double v = logits[i] / temperature;
            double gap = v - peak;
            ids[n] = i;
            values[n] = v;
            if (gap >= floor && gap > Double.NEGATIVE_INFINITY) {
                n++;
            }
        }
        return n;
    }

    /** Running sums of the weights, in order of id. */
    private void weigh(int n, double peak) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            sum += StrictMath.exp(values[i] - peak);
            sums[i] = sum;
        }
    }

    /**
     * The first index whose running sum exceeds the target; where rounding took the target up to the total, the first that
     * reaches it, so that a token without weight is never drawn.
     */
    private int search(int n, double target) {
        double bound = Math.min(target, Math.nextDown(sums[n - 1]));
        int low = 0;
        int high = n - 1;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (sums[middle] > bound) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }
}
