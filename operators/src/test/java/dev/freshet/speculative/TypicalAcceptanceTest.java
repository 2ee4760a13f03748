package dev.freshet.speculative;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class TypicalAcceptanceTest {

    private static final int V = 4;

    /** Root, two children of it, one grandchild below each. */
    private static final DraftTree TREE = new DraftTree(new int[] {0, 1, 2, 1, 3}, new int[] {-1, 0, 0, 1, 2});

    private static float[] logits(float[]... rows) {
        float[] out = new float[rows.length * V];
        for (int i = 0; i < rows.length; i++) {
            System.arraycopy(rows[i], 0, out, i * V, V);
        }
        return out;
    }

    @Test
    void takesTheDeepestPathThatPasses() {
        float[] flat = {0, 0, 0, 0};
        float[] only3 = {-20, -20, -20, 5};
        float[] only0 = {9, -20, -20, -20};
        // After token 1 comes 0 for sure, after token 2 comes 3: only the branch through node 2 goes on.
        float[] rows = logits(flat, only0, only3, flat, flat);
        assertThat(TypicalAcceptance.lastNode(TREE, rows, 0, V, 1)).isEqualTo(4);
    }

    @Test
    void acceptsNothingThatTheModelThinksUnlikely() {
        float[] only0 = {20, -20, -20, -20};
        assertThat(TypicalAcceptance.lastNode(TREE, logits(only0, only0, only0, only0, only0), 0, V, 1))
                .isZero();
    }

    @Test
    void amongEqualDepthsTheLikelierPathWins() {
        float[] prefers2 = {-20, 0, 1, -20};
        float[] flat = {0, 0, 0, 0};
        assertThat(TypicalAcceptance.lastNode(TREE, logits(prefers2, flat, flat, flat, flat), 0, V, 1))
                .isEqualTo(4);
        float[] prefers1 = {-20, 1, 0, -20};
        assertThat(TypicalAcceptance.lastNode(TREE, logits(prefers1, flat, flat, flat, flat), 0, V, 1))
                .isEqualTo(3);
    }
}
