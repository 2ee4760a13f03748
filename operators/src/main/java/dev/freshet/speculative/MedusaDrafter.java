package dev.freshet.speculative;

import dev.freshet.kernel.Kernels;
import dev.freshet.model.Model;
import dev.freshet.sampling.TopTokens;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Fills candidate trees from the Medusa heads of a model: head k guesses the token k + 2 places after the row whose hidden state it
 * reads (Cai et al. 2024). Ties between tokens go to the lower id. Confined to the engine thread.
 */
public final class MedusaDrafter {

    private final Model model;
    private final TreeShape[] shapes;
    private final TopTokens top = new TopTokens();
    private float[] logits = new float[0];
    private int[] ranked = new int[0];

    /** Whether the device has ranked the tokens of this call; then the best of each head, [rows, K, bestRanks]. */
    private boolean onDevice;

    private int[] best = new int[0];
    private int bestRanks;

    /**
     * Prepares trees of several sizes.
     *
     * @param sizes upper bounds of nodes, the root included, ascending
     */
    public MedusaDrafter(Model model, int[] sizes) {
        this.model = model;
        List<List<Integer>> choices = model.medusaTree();
        shapes = new TreeShape[sizes.length];
        for (int i = 0; i < sizes.length; i++) {
            shapes[i] = TreeShape.pruned(choices, sizes[i]);
        }
    }

    /** The largest prepared tree that has at most so many nodes, or null when even the smallest has more. */
    public @Nullable TreeShape shape(int nodes) {
        TreeShape best = null;
        for (TreeShape shape : shapes) {
            if (shape.size() <= nodes) {
                best = shape;
            }
        }
        return best;
    }

    /** Nodes on the longest path of the tree that {@link #shape} gives for so many nodes: the most tokens it brings. */
    public int longestPath(int nodes) {
        TreeShape shape = shape(nodes);
        return shape == null ? 1 : shape.depth(shape.size() - 1) + 1;
    }

    /**
     * Drafts for several sequences at once.
     *
     * @param hidden in, [rows, D] final hidden state of each sequence's last committed token
     * @param roots [rows] chosen tokens
     * @param shapesOfRows [rows] tree of each
     * @param maxDepths [rows] depth beyond which no node is wanted
     * @return [rows] filled trees
     */
    public DraftTree[] propose(float[] hidden, int rows, int[] roots, TreeShape[] shapesOfRows, int[] maxDepths) {
        int heads = model.medusaHeads();
        int vocab = model.vocabSize();
        int ranks = 0;
        for (int row = 0; row < rows; row++) {
            ranks = Math.max(ranks, ranks(shapesOfRows[row]));
        }
        onDevice = model.draws() && ranks <= Kernels.MOST_TOP;
        if (onDevice) {
            best = model.medusaTop(hidden, rows, ranks);
            bestRanks = ranks;
        } else {
            if (logits.length < rows * heads * vocab) {
                logits = new float[rows * heads * vocab];
            }
            model.medusaLogits(hidden, rows, logits);
        }
        DraftTree[] out = new DraftTree[rows];
        for (int row = 0; row < rows; row++) {
            out[row] = fill(row, roots[row], shapesOfRows[row], maxDepths[row]);
        }
        return out;
    }

    private DraftTree fill(int row, int root, TreeShape shape, int maxDepth) {
        int n = shape.sizeWithin(maxDepth);
        int[] tokens = new int[n];
        int[] parents = new int[n];
        tokens[0] = root;
        int ranks = ranks(shape);
        if (ranked.length < ranks) {
            ranked = new int[ranks];
        }
        int rankedHead = -1;
        int kept = 1;
        int[] place = new int[n];
        parents[0] = -1;
        for (int node = 1; node < n; node++) {
            int head = shape.depth(node) - 1;
            if (head != rankedHead) {
                rank(row, head, ranks);
                rankedHead = head;
            }
            int above = place[shape.parent(node)];
            if (above < 0 || shape.rank(node) >= ranks) {
                place[node] = -1;
                continue;
            }
            place[node] = kept;
            tokens[kept] = ranked[shape.rank(node)];
            parents[kept] = above;
            kept++;
        }
        return new DraftTree(Arrays.copyOf(tokens, kept), Arrays.copyOf(parents, kept));
    }

    private int ranks(TreeShape shape) {
        return Math.min(shape.maxRank() + 1, model.vocabSize());
    }

    private void rank(int row, int head, int ranks) {
        int vocab = model.vocabSize();
        int place = row * model.medusaHeads() + head;
        if (onDevice) {
            System.arraycopy(best, place * bestRanks, ranked, 0, ranks);
            return;
        }
        int from = place * vocab;
        top.select(logits, from, vocab, ranks, ranked);
    }
}
