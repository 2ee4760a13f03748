package dev.freshet.model;

import dev.freshet.kernel.Draw;
import dev.freshet.kernel.Drawn;
import dev.freshet.kernel.Paths;
import java.util.List;

/**
 * A language model with its slots: one forward pass for prefill chunks, single tokens and draft trees, and one commit that alone
 * writes state. Confined to the engine thread.
 */
public interface Model extends AutoCloseable {

    /** Number of token ids. */
    int vocabSize();

    /** Longest sequence, prompt and output together; Integer.MAX_VALUE when unbounded. */
    int contextLength();

    /** G: chunks and drafts must not reach beyond a multiple of it; Integer.MAX_VALUE when nothing limits them. */
    int groupSize();

    /** Sequences that can hold state at the same time. */
    int slots();

    /** State of one sequence. */
    long bytesPerSlot();

    /** Most rows of one forward pass. */
    int maxRows();

    /** Most rows with logits of one forward pass. */
    int maxLogitRows();

    /** Runs the rows of a batch; reads state, writes none. Logits stay valid until the next call of this or the heads. */
    void forward(Batch batch);

    /**
     * Logits of the last forward pass, [logit rows, V], in the order of the batch's logit rows. Do not keep or change. Where they lie on
     * a device, the first call after a pass copies them.
     */
    float[] logits();

    /** Whether {@link #draw} may be called; where not, tokens are drawn from {@link #logits()}. */
    default boolean draws() {
        return false;
    }

    /**
     * Draws tokens where the logits of the last forward pass are: the tokens and log-probabilities of {@code Sampler}, to the bit.
     *
     * @param draws rows to draw from, at most maxLogitRows
     * @return one answer for each
     */
    default List<Drawn> draw(List<Draw> draws) {
        throw new UnsupportedOperationException("this model does not draw tokens");
    }

    /** Copies the final hidden state [D] of a logit row of the last forward pass. */
    void hidden(int logitRow, float[] out);

    /** Length D of a hidden state. */
    int hiddenSize();

    /** Appends the accepted rows of every segment of the last forward pass to the state of its slot. */
    void commit(Paths paths);

    /** Zeroes a slot whose sequence has committed so many tokens. */
    void release(int slot, int tokens);

    /**
     * Names what the bits of a state depend on besides the model's files: backend, format of the weights, layout. A state saved by a
     * model fits another one of the same files and the same name, and no other.
     */
    String stateName();

    /** Floats of the state of a sequence that has committed so many tokens: what it uses of its slot, not the slot. */
    int stateFloats(int tokens);

    /**
     * Copies the state of a sequence that has committed so many tokens. The copy is complete when the returned has run, which waits where it
     * must and may run on any thread; the model may go on meanwhile, the copy is that of now.
     *
     * @param out overwritten, [stateFloats(tokens)]
     */
    Runnable saveState(int slot, int tokens, float[] out);

    /** Puts a saved state into a free slot, which then stands where the saved one stood, to the bit. */
    void loadState(int slot, int tokens, float[] values);

    /** Number of Medusa heads; 0 for none. */
    int medusaHeads();

    /** Choices of the candidate tree of the model directory, empty without heads. */
    List<List<Integer>> medusaTree();

    /**
     * Runs the Medusa heads.
     *
     * @param hidden in, [rows, D] final hidden states
     * @param out overwritten, [rows, K, V] logits
     */
    void medusaLogits(float[] hidden, int rows, float[] out);

    /**
     * Runs the Medusa heads where {@link #draws()} says that logits stay on the device.
     *
     * @param hidden in, [rows, D] final hidden states
     * @param k tokens wanted of each head, at most {@link dev.freshet.kernel.Kernels#MOST_TOP}
     * @return [rows, K, k] most probable tokens, most probable first, equal ones by id
     */
    default int[] medusaTop(float[] hidden, int rows, int k) {
        throw new UnsupportedOperationException("this model does not rank tokens");
    }

    @Override
    void close();
}
