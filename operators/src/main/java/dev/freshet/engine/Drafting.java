package dev.freshet.engine;

import dev.freshet.model.Model;
import dev.freshet.request.SpeculationMode;
import dev.freshet.speculative.DraftBudget;
import dev.freshet.speculative.DraftTree;
import dev.freshet.speculative.MedusaDrafter;
import dev.freshet.speculative.TreeShape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Drafts for the decoding sequences of a step: who drafts, with what, and how much. Confined to the engine thread. */
final class Drafting {

    /** Guesses of a lookup chain; a chain this long still costs little more than one row. */
    private static final int LOOKUP_GUESSES = 15;

    /** Draft sizes that AUTO chooses from, in nodes. */
    private static final int[] SIZES = {1, 2, 4, 8, 16, 32, 64};

    /** The same for chains, which are shorter. */
    private static final int[] CHAIN_SIZES = {1, 2, 4, 8, 16};

    private final Model model;
    private final @Nullable MedusaDrafter medusa;
    private final DraftBudget budget;
    private final boolean measured;
    private final int[] guesses = new int[LOOKUP_GUESSES];
    private float[] hidden = new float[0];
    private int autoSequences;

    Drafting(Model model, boolean measured) {
        this.model = model;
        this.measured = measured;
        medusa = model.medusaTree().isEmpty() ? null : new MedusaDrafter(model, SIZES);
        budget = medusa == null
                ? new DraftBudget(CHAIN_SIZES, CHAIN_SIZES)
                : new DraftBudget(
                        SIZES, Arrays.stream(SIZES).map(medusa::longestPath).toArray());
    }

    /**
     * Drafts for every sequence of a list.
     *
     * @param spare rows that may be added to one for each sequence
     * @param alone whether the step reads no prompts beside them
     */
    DraftTree[] propose(List<Sequence> decoding, int spare, boolean alone) {
        DraftTree[] out = new DraftTree[decoding.size()];
        List<Integer> trees = new ArrayList<>();
        List<TreeShape> shapes = new ArrayList<>();
        autoSequences = 0;
        for (Sequence s : decoding) {
            autoSequences += s.speculation == SpeculationMode.AUTO ? 1 : 0;
        }
        boolean recorded = alone && autoSequences == decoding.size();
        int auto = measured ? budget.nodes(decoding.size(), recorded) : SIZES[SIZES.length - 1];
        int left = spare;
        for (int i = 0; i < out.length; i++) {
            Sequence s = decoding.get(i);
            out[i] = DraftTree.single(s.tokens[s.length - 1]);
            // Every sequence may take its share of what those before it have left over.
            int share = left / (out.length - i);
            int limit = Math.min(share, s.speculation == SpeculationMode.AUTO ? auto - 1 : SIZES[SIZES.length - 1] - 1);
            int depth = maxDepth(s);
            if (s.speculation == SpeculationMode.OFF || limit < 1 || depth < 1) {
                continue;
            }
            if (medusa != null && s.speculation != SpeculationMode.LOOKUP) {
                TreeShape shape = s.hiddenReady ? medusa.shape(limit + 1) : null;
                if (shape != null && shape.size() > 1) {
                    trees.add(i);
                    shapes.add(shape);
                    left -= shape.sizeWithin(depth) - 1;
                }
            } else if (s.speculation == SpeculationMode.LOOKUP || s.speculation == SpeculationMode.AUTO) {
                int most = Math.min(Math.min(depth, limit), LOOKUP_GUESSES);
                // In LOOKUP the caller has decided; AUTO decides by what this sequence's guesses have been worth.
                int wanted = measured && s.speculation == SpeculationMode.AUTO ? s.pace.next(most) : most;
                int count = wanted < 1 ? 0 : s.lookup().propose(guesses, wanted);
                out[i] = DraftTree.chain(s.tokens[s.length - 1], guesses, count);
                left -= count;
            }
        }
        if (!trees.isEmpty()) {
            fillTrees(decoding, trees, shapes, out);
        }
        return out;
    }

    private void fillTrees(List<Sequence> decoding, List<Integer> trees, List<TreeShape> shapes, DraftTree[] out) {
        int rows = trees.size();
        int d = model.hiddenSize();
        if (hidden.length < rows * d) {
            hidden = new float[rows * d];
        }
        int[] roots = new int[rows];
        int[] depths = new int[rows];
        for (int r = 0; r < rows; r++) {
            Sequence s = decoding.get(trees.get(r));
            if (s.hidden != null) {
                System.arraycopy(s.hidden, 0, hidden, r * d, d);
            }
            roots[r] = s.tokens[s.length - 1];
            depths[r] = maxDepth(s);
        }
        DraftTree[] filled =
                Objects.requireNonNull(medusa).propose(hidden, rows, roots, shapes.toArray(new TreeShape[0]), depths);
        for (int r = 0; r < rows; r++) {
            out[trees.get(r)] = filled[r];
        }
    }

    /**
     * Depth beyond which a guess is useless or not allowed: the group of the root, since sums beyond its edge run in another order,
     * the request's tokens, the context.
     */
    private int maxDepth(Sequence s) {
        int position = s.committed;
        int group = model.groupSize();
        int inGroup = group == Integer.MAX_VALUE ? Integer.MAX_VALUE : group - 1 - position % group;
        int wanted = s.params.maxTokens() - s.outputLength();
        int context =
                model.contextLength() == Integer.MAX_VALUE ? Integer.MAX_VALUE : model.contextLength() - 1 - position;
        return Math.min(inGroup, Math.min(wanted, context));
    }

    /** Learns how many guesses of a sequence's draft were right. */
    void accepted(Sequence s, int guesses, int right) {
        if (medusa == null) {
            s.pace.learn(guesses, right);
        }
    }

    /** Learns from a step without prefill that all of these sequences decoded in. */
    void record(int decoding, int tokens, long nanos) {
        if (measured && autoSequences == decoding && decoding > 0) {
            budget.record(decoding, tokens, nanos);
        }
    }
}
