package dev.freshet.model;

import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Kernels;
import java.util.List;

/** The Medusa heads of a decoder, docs/maths.md §3.2, in buffers that it lends. Confined to the engine thread. */
final class MedusaHeads {

    private final Kernels kernels;
    private final List<DecoderWeights.MedusaHead> heads;
    private final int hidden;
    private final int vocab;
    private final int maxRows;
    private final Buffer in;
    private final Buffer inner;
    private final Buffer logits;
    private float[] hostLogits = new float[0];

    /** What to do with the logits of one head for some rows. */
    @FunctionalInterface
    private interface Use {
        void head(int head, int from, int rows);
    }

    /**
     * Takes the heads.
     *
     * @param in overwritten by every call, [maxRows, D]
     * @param inner overwritten by every call, [maxRows, D]
     * @param logits overwritten by every call, [maxRows, V]
     */
    MedusaHeads(
            Kernels kernels,
            List<DecoderWeights.MedusaHead> heads,
            ModelConfig config,
            int maxRows,
            Buffer in,
            Buffer inner,
            Buffer logits) {
        this.kernels = kernels;
        this.heads = heads;
        this.maxRows = maxRows;
        this.in = in;
        this.inner = inner;
        this.logits = logits;
        hidden = config.hidden();
        vocab = config.vocabSize();
    }

    private void run(float[] states, int rows, Use use) {
        for (int from = 0; from < rows; from += maxRows) {
            int n = Math.min(maxRows, rows - from);
            kernels.write(states, from * hidden, n * hidden, in, 0);
            for (int h = 0; h < heads.size(); h++) {
                DecoderWeights.Linear residual = heads.get(h).residual();
                kernels.matmul(residual.weight(), residual.bias(), in, n, inner);
                kernels.addSilu(in, inner, n * hidden, inner);
                kernels.matmul(heads.get(h).output(), null, inner, n, logits);
                use.head(h, from, n);
            }
        }
    }

    /** Logits of all heads, out [rows, K, V]. */
    void logits(float[] states, int rows, float[] out) {
        run(states, rows, (head, from, n) -> {
            hostLogits = kernels.host(logits, n * vocab, hostLogits);
            for (int i = 0; i < n; i++) {
                System.arraycopy(hostLogits, i * vocab, out, ((from + i) * heads.size() + head) * vocab, vocab);
            }
        });
    }

    /** Most probable tokens of all heads, [rows, K, k]. */
    int[] top(float[] states, int rows, int k) {
        int[] out = new int[rows * heads.size() * k];
        run(states, rows, (head, from, n) -> {
            int[] ids = kernels.top(logits, vocab, n, k);
            for (int i = 0; i < n; i++) {
                System.arraycopy(ids, i * k, out, ((from + i) * heads.size() + head) * k, k);
            }
        });
        return out;
    }
}
