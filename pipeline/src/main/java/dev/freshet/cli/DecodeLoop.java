package dev.freshet.cli;

import dev.freshet.kernel.Paths;
import dev.freshet.model.Batch;
import dev.freshet.model.Decoder;

/**
 * Plain greedy decoding of a full batch, without queue and sampler: forward pass, largest logit, commit. Confined to one thread.
 */
final class DecodeLoop {

    private static final int[] ROOT = {-1};

    /** Tokens that are really run before a depth that is not reached from the start. */
    private static final int RUN_UP = 64;

    /** How far a cache may grow before the loop goes back to the depth it measures. */
    static final int DRIFT = 256;

    /** Rows of a draft that one pass takes at most. */
    static final int MOST_NODES = 64;

    private final Decoder decoder;
    private final boolean caches;
    private final int firstSlot;
    private final int sequences;
    private final Batch batch;
    private final Paths paths;
    private final int[] chain;
    private final int[] token;
    private final int[][] one;
    private int depth;
    private int position;

    /** Uses the slots from firstSlot on; caches says whether every layer is a cache, so that positions can be written again. */
    DecodeLoop(Decoder decoder, boolean caches, int firstSlot, int sequences) {
        this.decoder = decoder;
        this.caches = caches;
        this.firstSlot = firstSlot;
        this.sequences = sequences;
        batch = new Batch(sequences, decoder.maxRows(), decoder.maxLogitRows());
        paths = new Paths(sequences, decoder.maxRows());
        chain = new int[decoder.maxRows()];
        for (int i = 0; i < chain.length; i++) {
            chain[i] = i;
        }
        token = new int[sequences];
        one = new int[sequences][1];
    }

    /**
     * Brings all sequences to a depth.
     *
     * @param whole whether all tokens are run; otherwise the last ones alone, on a state of zeros for those before, which costs
     *     every later step the same
     */
    void place(int tokens, boolean whole) {
        int group = decoder.groupSize();
        int start = whole ? 0 : Math.max(0, tokens - RUN_UP);
        start -= group == Integer.MAX_VALUE ? 0 : start % group;
        for (int s = 0; s < sequences; s++) {
            token[s] = prefill(firstSlot + s, s + 1, start, tokens);
        }
        depth = tokens;
        position = tokens;
    }

    /** Runs made-up tokens of one slot from one position to another in chunks; returns the next token. */
    private int prefill(int slot, int seed, int from, int to) {
        int vocab = decoder.vocabSize();
        int next = seed % vocab;
        int group = decoder.groupSize();
        for (int at = from; at < to; ) {
            int room = group == Integer.MAX_VALUE ? Integer.MAX_VALUE : group - at % group;
            int n = Math.min(Math.min(decoder.maxRows(), room), to - at);
            int[] source = new int[at + n];
            for (int i = at; i < at + n; i++) {
                source[i] = (int) ((i * 7919L + seed) % vocab);
            }
            batch.clear();
            boolean last = at + n == to;
            batch.addChunk(slot, source, at, n, last);
            decoder.forward(batch);
            next = last ? largest(0) : next;
            paths.clear();
            paths.add(0, chain, n);
            decoder.commit(paths);
            at += n;
        }
        return next;
    }

    /** Runs a prompt of so many tokens in the first slot from the start and forgets it; returns the number of tokens. */
    long prompt(int tokens) {
        prefill(firstSlot, 1, 0, tokens);
        decoder.release(firstSlot, tokens);
        return tokens;
    }

    /** Decodes one token of every sequence; returns their number. */
    long step() {
        if (position + 1 >= decoder.contextLength() || caches && position - depth >= DRIFT) {
            rewind();
        }
        batch.clear();
        paths.clear();
        for (int s = 0; s < sequences; s++) {
            one[s][0] = token[s];
            batch.addTree(firstSlot + s, position, one[s], ROOT);
            paths.add(s, chain, 1);
        }
        decoder.forward(batch);
        for (int s = 0; s < sequences; s++) {
            token[s] = largest(s);
        }
        decoder.commit(paths);
        position++;
        return sequences;
    }

    /**
     * Runs a draft of so many rows, a tree of two branches at each node, for every sequence and keeps none of it, so that the next
     * call meets the same position; returns the rows of a sequence.
     */
    long verify(int nodes) {
        int[] tokens = new int[nodes];
        int[] parents = new int[nodes];
        for (int i = 0; i < nodes; i++) {
            tokens[i] = (token[0] + i) % decoder.vocabSize();
            parents[i] = i == 0 ? -1 : (i - 1) / 2;
        }
        batch.clear();
        paths.clear();
        for (int s = 0; s < sequences; s++) {
            batch.addTree(firstSlot + s, position, tokens, parents);
            paths.add(s * nodes, chain, 0);
        }
        decoder.forward(batch);
        for (int row = 0; row < sequences * nodes; row++) {
            tokens[row % nodes] = largest(row);
        }
        decoder.commit(paths);
        return 1;
    }

    private void rewind() {
        if (caches) {
            position = depth;
        } else {
            int again = depth;
            release();
            place(again, false);
        }
    }

    private int largest(int row) {
        float[] logits = decoder.logits();
        int from = row * decoder.vocabSize();
        int best = 0;
        for (int i = 1; i < decoder.vocabSize(); i++) {
            if (logits[from + i] > logits[from + best]) {
                best = i;
            }
        }
        return best;
    }

    /** Frees the slots. */
    void release() {
        for (int s = 0; s < sequences; s++) {
            decoder.release(firstSlot + s, position);
        }
    }
}
