package dev.freshet.engine;

import dev.freshet.kernel.Paths;
import dev.freshet.model.Batch;
import dev.freshet.model.Model;
import java.util.function.LongConsumer;

/**
 * Perplexity of a token sequence under a model: e to the mean negative log-likelihood of every token given those before it. Streaming
 * carries the state over the whole text; with a window each token sees at most so many before it. Confined to the engine thread.
 */
public final class Perplexity {

    /**
     * What an evaluation found. Immutable.
     *
     * @param tokens tokens scored
     * @param negativeLogLikelihood their sum, nats
     * @param correct how many were the most probable token
     */
    public record Result(long tokens, double negativeLogLikelihood, long correct) {

        /** e^(mean negative log-likelihood); NaN when nothing was scored. */
        public double perplexity() {
            return Math.exp(negativeLogLikelihood / tokens);
        }

        /** Share of tokens that were the most probable one. */
        public double accuracy() {
            return (double) correct / tokens;
        }
    }

    private final Model model;
    private final Batch batch;
    private final Paths paths;
    private final int chunk;
    private final int[] nodes;
    private long tokens;
    private double sum;
    private long correct;

    private Perplexity(Model model) {
        this.model = model;
        chunk = Math.min(64, model.maxLogitRows());
        batch = new Batch(1, chunk, chunk);
        paths = new Paths(1, chunk);
        nodes = new int[chunk];
        for (int i = 0; i < chunk; i++) {
            nodes[i] = i;
        }
    }

    /**
     * Scores every token but the first with the state of all before it.
     *
     * @param text [n] token ids, a BOS first where the model wants one
     * @param progress called with the number of tokens scored so far
     * @throws IllegalArgumentException when the text is longer than the context of the model
     */
    public static Result streaming(Model model, int[] text, LongConsumer progress) {
        if (text.length > model.contextLength()) {
            throw new IllegalArgumentException("Cannot evaluate in one stream: expected at most "
                    + model.contextLength() + " tokens, got " + text.length + ". Give a window.");
        }
        Perplexity p = new Perplexity(model);
        p.run(text, 0, text.length, 1, progress);
        return p.result();
    }

    /**
     * Scores every token but the first with at most window - 1 tokens before it; windows overlap by half.
     *
     * @param window tokens of one window, at least 2 and at most the context of the model
     */
    public static Result windowed(Model model, int[] text, int window, LongConsumer progress) {
        if (window < 2 || window > model.contextLength()) {
            throw new IllegalArgumentException(
                    "Cannot evaluate: expected a window from 2 to " + model.contextLength() + " tokens, got " + window);
        }
        Perplexity p = new Perplexity(model);
        int scored = 1;
        for (int start = 0; scored < text.length; start += Math.max(1, window / 2)) {
            int end = Math.min(text.length, start + window);
            p.run(text, start, end, scored, progress);
            scored = end;
        }
        return p.result();
    }

    private Result result() {
        return new Result(tokens, sum, correct);
    }

    /** Runs text [start, end) from an empty state and scores the tokens from index first on. */
    private void run(int[] text, int start, int end, int first, LongConsumer progress) {
        int at = start;
        int group = model.groupSize();
        while (at < end - 1) {
            int room = group == Integer.MAX_VALUE ? chunk : group - (at - start) % group;
            int n = Math.min(Math.min(chunk, room), end - 1 - at);
            int[] chain = new int[n];
            int[] ids = new int[n];
            for (int i = 0; i < n; i++) {
                chain[i] = i - 1;
                ids[i] = text[at + i];
            }
            batch.clear();
            batch.addTree(0, at - start, ids, chain);
            model.forward(batch);
            for (int i = 0; i < n; i++) {
                if (at + i + 1 >= first) {
                    score(i, text[at + i + 1]);
                }
            }
            paths.clear();
            paths.add(0, nodes, n);
            model.commit(paths);
            at += n;
            progress.accept(tokens);
        }
        model.release(0, end - start);
    }

    private void score(int row, int target) {
        float[] logits = model.logits();
        int v = model.vocabSize();
        int from = row * v;
        float max = logits[from];
        int best = 0;
        for (int i = 1; i < v; i++) {
            if (logits[from + i] > max) {
                max = logits[from + i];
                best = i;
            }
        }
        double total = 0;
        for (int i = 0; i < v; i++) {
            total += Math.exp(logits[from + i] - max);
        }
        sum += max + Math.log(total) - logits[from + target];
        correct += best == target ? 1 : 0;
        tokens++;
    }
}
