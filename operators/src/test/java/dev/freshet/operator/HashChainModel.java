package dev.freshet.operator;

import dev.freshet.kernel.Paths;
import dev.freshet.kernel.Segments;
import dev.freshet.model.Batch;
import dev.freshet.model.Model;
import java.util.List;
import java.util.function.IntConsumer;

/**
 * A model whose state is a hash of all tokens so far and whose next token is a function of that hash: a token that is lost,
 * doubled, swapped or run in a foreign slot changes all later ones. Confined to the engine thread.
 */
public final class HashChainModel implements Model {

    private static final long START = 0x9E3779B97F4A7C15L;

    private final int vocabSize;
    private final int contextLength;
    private final long[] state;
    private final int[] length;
    private final float[] logits;
    private long[] hashes = new long[0];
    private Segments last = new Segments(1, 1);
    private int[] lastTokens = new int[0];
    private Runnable beforeForward = () -> {};
    private IntConsumer onToken = token -> {};

    /** Creates a model with so many slots. */
    public HashChainModel(int vocabSize, int contextLength, int slots) {
        this.vocabSize = vocabSize;
        this.contextLength = contextLength;
        this.state = new long[slots];
        this.length = new int[slots];
        this.logits = new float[maxLogitRows() * vocabSize];
        for (int i = 0; i < slots; i++) {
            state[i] = START;
        }
    }

    /** Runs something before each forward pass, for example a delay. */
    public void beforeForward(Runnable action) {
        beforeForward = action;
    }

    /** Sees each token that is run, for example to die of one. */
    public void onToken(IntConsumer action) {
        onToken = action;
    }

    private static long mix(long hash, int token) {
        long h = (hash ^ token) * 0xBF58476D1CE4E5B9L;
        return h ^ (h >>> 29);
    }

    /** The tokens that follow a prompt when the most probable one is always taken. */
    public static int[] continuation(int[] prompt, int count, int vocabSize) {
        long hash = START;
        for (int token : prompt) {
            hash = mix(hash, token);
        }
        int[] out = new int[count];
        for (int i = 0; i < count; i++) {
            out[i] = next(hash, vocabSize);
            hash = mix(hash, out[i]);
        }
        return out;
    }

    private static int next(long hash, int vocabSize) {
        return (int) Long.remainderUnsigned(hash >>> 7, vocabSize);
    }

    @Override
    public int vocabSize() {
        return vocabSize;
    }

    @Override
    public int contextLength() {
        return contextLength;
    }

    @Override
    public int groupSize() {
        return Integer.MAX_VALUE;
    }

    @Override
    public int slots() {
        return state.length;
    }

    @Override
    public long bytesPerSlot() {
        return Long.BYTES;
    }

    @Override
    public int maxRows() {
        return 512;
    }

    @Override
    public int maxLogitRows() {
        return 256;
    }

    @Override
    public void forward(Batch batch) {
        beforeForward.run();
        last = batch.segments();
        lastTokens = batch.tokens();
        for (int i = 0; i < batch.rows(); i++) {
            onToken.accept(lastTokens[i]);
        }
        hashes = new long[batch.rows()];
        for (int s = 0; s < last.count(); s++) {
            int slot = last.slot(s);
            if (length[slot] != last.position(s)) {
                throw new IllegalStateException(
                        "Slot " + slot + " holds " + length[slot] + " tokens, the batch says " + last.position(s));
            }
            for (int t = 0; t < last.size(s); t++) {
                int parent = last.parent(s, t);
                long before = parent < 0 ? state[slot] : hashes[last.first(s) + parent];
                hashes[last.first(s) + t] = mix(before, lastTokens[last.first(s) + t]);
            }
        }
        for (int i = 0; i < batch.logitRows(); i++) {
            java.util.Arrays.fill(logits, i * vocabSize, (i + 1) * vocabSize, 0);
            logits[i * vocabSize + next(hashes[batch.logitRow()[i]], vocabSize)] = 10;
        }
    }

    @Override
    public float[] logits() {
        return logits;
    }

    @Override
    public void hidden(int logitRow, float[] out) {
        throw new UnsupportedOperationException("A hash chain has no hidden state.");
    }

    @Override
    public int hiddenSize() {
        return 1;
    }

    @Override
    public void commit(Paths paths) {
        for (int s = 0; s < paths.count(); s++) {
            int n = paths.size(s);
            if (n > 0) {
                state[last.slot(s)] = hashes[paths.row(s, n - 1)];
                length[last.slot(s)] += n;
            }
        }
    }

    @Override
    public void release(int slot, int tokens) {
        state[slot] = START;
        length[slot] = 0;
    }

    @Override
    public String stateName() {
        return "hash-chain";
    }

    /** The hash in four parts, each of which a float holds to the bit. */
    @Override
    public int stateFloats(int tokens) {
        return 4;
    }

    @Override
    public Runnable saveState(int slot, int tokens, float[] out) {
        check(slot, tokens);
        for (int i = 0; i < 4; i++) {
            out[i] = state[slot] >>> 16 * i & 0xFFFF;
        }
        return () -> {};
    }

    @Override
    public void loadState(int slot, int tokens, float[] values) {
        check(slot, 0);
        state[slot] = 0;
        for (int i = 0; i < 4; i++) {
            state[slot] |= (long) values[i] << 16 * i;
        }
        length[slot] = tokens;
    }

    private void check(int slot, int tokens) {
        if (length[slot] != tokens) {
            throw new IllegalStateException("Slot " + slot + " holds " + length[slot] + " tokens, not " + tokens);
        }
    }

    @Override
    public int medusaHeads() {
        return 0;
    }

    @Override
    public List<List<Integer>> medusaTree() {
        return List.of();
    }

    @Override
    public void medusaLogits(float[] hidden, int rows, float[] out) {
        throw new UnsupportedOperationException("A hash chain has no heads.");
    }

    @Override
    public void close() {}
}
