package dev.freshet.kernel;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The numerical operations of a decoder on one backend.
 *
 * <p>The bit rule (docs/maths.md §1): every output element is a sum in an order fixed by its own position and the shapes alone. Row
 * count, neighbours, chunking, thread count and the form of a draft never change a bit. Every buffer is row-major. Confined to the
 * engine thread.
 */
public interface Kernels extends AutoCloseable {

    /** Most ids of a row that {@link #top} finds. */
    int MOST_TOP = 64;

    /** Short name: reference, vector or cuda. */
    String name();

    /** One line for people: what runs and how wide. */
    String describe();

    /** Claims a buffer of zeros. */
    Buffer allocate(long floats);

    /** Copies values from the host into a new buffer. */
    Buffer upload(float[] values);

    /** Copies floats to the host. */
    void read(Buffer source, long offset, float[] out, int at, int count);

    /**
     * The first floats of a buffer in host memory: the buffer itself on the CPU, else a copy in scratch or in a new array when that is
     * too short. Read it before the next operation that writes the buffer.
     */
    float[] host(Buffer source, int count, float[] scratch);

    /** Copies floats from the host. */
    void write(float[] source, int at, int count, Buffer target, long offset);

    /** Whether this backend draws tokens itself; where not, they are drawn from the logits on the host. */
    default boolean draws() {
        return false;
    }

    /** Claims what {@link #draw} needs for so many rows of a vocabulary; called once, before {@link #prepare}. */
    default void prepareDraws(int vocab, int rows) {}

    /**
     * Draws a token from each of some rows of logits, docs/maths.md §4.1: the tokens and log-probabilities of the sampler on the host,
     * to the bit, given the same logits.
     *
     * @param logits in, [.., vocab]
     * @return one answer for each draw
     */
    default List<Drawn> draw(Buffer logits, int vocab, List<Draw> draws) {
        throw new UnsupportedOperationException("these kernels do not draw tokens");
    }

    /**
     * Finds the largest logits of rows on a backend that {@link #draws}.
     *
     * @param logits in, [rows, vocab], no NaN
     * @param k number wanted, at most the vocabulary and {@link #MOST_TOP}
     * @return [rows, k] ids, largest first, equal ones by id
     */
    default int[] top(Buffer logits, int vocab, int rows, int k) {
        throw new UnsupportedOperationException("these kernels do not rank tokens");
    }

    /**
     * Claims what attention of such layers needs for steps of at most so many segments and rows; called once, as the last before the
     * first step: nothing is allocated later.
     */
    default void prepare(List<AttentionSpec> layers, int segments, int rows) {}

    /**
     * Runs the operations of one forward pass or one commit. They read nothing back, and host arrays they are given do not change until
     * the last has been called. A device may run the code to learn the operations and replay a recording of them.
     */
    default void pass(Runnable operations) {
        operations.run();
    }

    /** Packs weights [n, k] for this backend. */
    Matrix pack(MatrixSource source, int n, int k, WeightFormat format);

    /** Unpacks rows of an embedding table: {@code out[i] = table[tokens[i]]}; out [rows, k] overwritten. */
    void embed(Matrix table, int[] tokens, int rows, Buffer out);

    /** Adds rows of a position table: {@code x[i] += table[positions[i]]}; x [rows, k] in/out. */
    void addEmbedding(Matrix table, int[] positions, int rows, Buffer x);

    /**
     * {@code out = x Wᵀ + bias}, docs/maths.md §1.1.
     *
     * @param bias in, [n], or null
     * @param x in, [rows, k]
     * @param out overwritten, [rows, n]
     */
    void matmul(Matrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out);

    /** {@code x += x Wᵀ + bias} form of {@link #matmul} that adds into out, the residual stream. */
    void matmulAdd(Matrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out);

    /** {@code out = x / sqrt(mean x² + eps) · weight} for every row [dim]; x and out [rows, dim]. */
    void rmsNorm(Buffer x, int rows, int dim, Buffer weight, double eps, Buffer out);

    /** LayerNorm with weight and bias [dim] for every row; x and out [rows, dim]. */
    void layerNorm(Buffer x, int rows, int dim, Buffer weight, Buffer bias, double eps, Buffer out);

    /** Copies rows: {@code out[i] = x[index[i]]}, rows of dim floats. */
    void gather(Buffer x, int[] index, int rows, int dim, Buffer out);

    /**
     * Rotary embedding in rotate-half form on the first heads of every row, docs/maths.md §3.1.
     *
     * @param x in/out, [rows, stride], the first heads · dim floats of each row are rotated
     * @param cosSin in, [rows, dim], dim/2 cosines, then dim/2 sines of each row's position
     */
    void rope(Buffer x, int rows, int stride, int heads, int dim, float[] cosSin);

    /** SwiGLU: {@code out[i] = silu(gate[i]) · up[i]}; x [rows, 2 dim] holds gate, then up; out [rows, dim] overwritten. */
    void siluMul(Buffer x, int rows, int dim, Buffer out);

    /** tanh form of GELU in place, x [count]. */
    void gelu(Buffer x, int count);

    /** {@code out[i] = x[i] + silu(y[i])}, the residual block of a Medusa head; all [count]. */
    void addSilu(Buffer x, Buffer y, int count, Buffer out);

    /** {@code x = logsigmoid(x) / 16}, the log-decay of gated linear attention; x [count] in/out. */
    void logSigmoidGate(Buffer x, int count);

    /**
     * Gates of the delta rule: {@code β = sigmoid(b)}, {@code log a = -exp(aLog) softplus(a + bias)}.
     *
     * @param x in/out, [rows, 2 kv], b then a of each row
     */
    void deltaGate(Buffer x, int rows, int kv, Buffer aLog, Buffer bias);

    /**
     * One masked attention for chunks, single tokens and trees, docs/maths.md §2: reads the state, writes records and output. Rows
     * of layers with an open group must lie within it.
     */
    void attend(AttentionCall call);

    /** Appends the accepted rows to the state, the only writer of it; closes groups that become full. */
    void commit(AttentionCall call, Paths paths);

    /**
     * Copies what a sequence of so many tokens has written into a layer's part of a slot to the host, packed as
     * {@link StateRegions} orders it. A backend with memory of its own may replace this copy of one region after the other.
     *
     * @param offset start of the layer within the slot, floats
     * @param out in/out, overwritten from at on
     * @return number of floats copied
     */
    default int save(AttentionSpec spec, Buffer slot, int offset, int tokens, float[] out, int at) {
        int[] next = {at};
        StateRegions.visit(spec, tokens, (start, rows, stride, width) -> {
            float[] span = new float[(rows - 1) * stride + width];
            read(slot, (long) offset + start, span, 0, span.length);
            for (int r = 0; r < rows; r++) {
                System.arraycopy(span, r * stride, out, next[0], width);
                next[0] += width;
            }
        });
        return next[0] - at;
    }

    /**
     * Begins {@link #save}: the floats are there when the returned has run, on whatever thread. The sequence may go on meanwhile; out holds
     * the state of now. A backend with memory of its own may copy beside its other work.
     */
    default Runnable beginSave(AttentionSpec spec, Buffer slot, int offset, int tokens, float[] out, int at) {
        save(spec, slot, offset, tokens, out, at);
        return () -> {};
    }

    /**
     * Puts what {@link #save} copied into a layer's part of a slot that holds zeros.
     *
     * @param values in, read from at on
     * @return number of floats copied
     */
    default int load(AttentionSpec spec, Buffer slot, int offset, int tokens, float[] values, int at) {
        int[] next = {at};
        StateRegions.visit(spec, tokens, (start, rows, stride, width) -> {
            float[] span = new float[(rows - 1) * stride + width];
            for (int r = 0; r < rows; r++) {
                System.arraycopy(values, next[0], span, r * stride, width);
                next[0] += width;
            }
            write(span, 0, span.length, slot, (long) offset + start);
        });
        return next[0] - at;
    }

    /** Zeroes what a sequence of so many tokens may have written into a layer's part of a slot. */
    void clear(AttentionSpec spec, Buffer slot, int offset, int tokens);

    @Override
    void close();
}
