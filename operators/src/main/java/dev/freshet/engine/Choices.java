package dev.freshet.engine;

import dev.freshet.kernel.Draw;
import dev.freshet.kernel.DrawRule;
import dev.freshet.kernel.Drawn;
import dev.freshet.model.Model;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.DrawRules;
import dev.freshet.sampling.Logprobs;
import dev.freshet.sampling.Sampler;
import dev.freshet.speculative.DraftTree;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of one step. A model that draws on its device draws from all rows at once, for what precedes a row of a draft is known
 * before it is accepted; else tokens are drawn row by row from the logits. The tokens are the same. Confined to the engine thread.
 */
final class Choices {

    private static final int[] NONE = {};

    private final Model model;
    private final Sampler sampler;
    private final List<Draw> draws = new ArrayList<>();
    private final @Nullable Drawn[] drawn;

    Choices(Model model) {
        this.model = model;
        sampler = new Sampler(model.vocabSize());
        drawn = new Drawn[model.maxLogitRows()];
    }

    /** Forgets the rows of the last step. */
    void clear() {
        draws.clear();
        Arrays.fill(drawn, null);
    }

    /** Adds the row behind a chunk of known tokens. */
    void add(Sequence s, int logitRow) {
        if (model.draws() && logitRow >= 0) {
            draws.add(new Draw(logitRow, rule(s), s.history.length(), NONE, s.outputLength() < s.params.minTokens()));
        }
    }

    /** Adds the rows of a draft; lossy acceptance reads their logits itself. */
    void add(Sequence s, int logitRow, DraftTree tree) {
        if (!model.draws() || s.speculation == SpeculationMode.TYPICAL && tree.size() > 1) {
            return;
        }
        DrawRule rule = rule(s);
        int[][] paths = new int[tree.size()][];
        for (int node = 0; node < tree.size(); node++) {
            int parent = tree.parents()[node];
            int[] above = parent < 0 ? NONE : paths[parent];
            int[] path = parent < 0 ? NONE : Arrays.copyOf(above, above.length + 1);
            if (parent >= 0) {
                path[above.length] = tree.tokens()[node];
            }
            paths[node] = path;
            draws.add(new Draw(
                    logitRow + node,
                    rule,
                    s.history.length() + path.length,
                    path,
                    s.outputLength() + path.length < s.params.minTokens()));
        }
    }

    private static DrawRule rule(Sequence s) {
        return DrawRules.of(s.params, s.history, s.forbidden);
    }

    /** Has the device draw; called once, after the forward pass. */
    void draw() {
        if (draws.isEmpty()) {
            return;
        }
        List<Drawn> out = model.draw(draws);
        for (int i = 0; i < draws.size(); i++) {
            drawn[draws.get(i).logitRow()] = out.get(i);
        }
    }

    /** The next token of a sequence from a logit row, or {@link Sampler#NUMERIC_FAULT}. */
    int token(Sequence s, int logitRow) {
        Drawn there = drawn[logitRow];
        return there != null
                ? there.token()
                : sampler.sample(model.logits(), logitRow * model.vocabSize(), s.params, s.history, s.forbiddenNow());
    }

    /** Log-probabilities of the token that a sequence takes from a logit row; asked for before it is appended. */
    Logprobs logprobs(Sequence s, int logitRow, int token) {
        Drawn there = drawn[logitRow];
        return there != null
                ? DrawRules.logprobs(there)
                : sampler.logprobs(
                        model.logits(),
                        logitRow * model.vocabSize(),
                        s.params,
                        s.history,
                        s.forbiddenNow(),
                        token,
                        s.params.logprobs());
    }
}
