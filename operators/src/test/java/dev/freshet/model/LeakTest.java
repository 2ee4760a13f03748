package dev.freshet.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.ReferenceKernels;
import dev.freshet.kernel.VectorKernels;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Nothing leaks backwards: changing later tokens of a chunk, other branches of a tree or other sequences changes no earlier bit. */
final class LeakTest {

    private static final int VOCAB = 90;
    private static final int[] PARENTS = {-1, 0, 0, 1, 1, 2, 3, 5, 3};

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "softmax",
                "flash_local",
                "flash_local+",
                "transnormer_diag",
                "yoso_local",
                "flash_global+",
                "linformer+",
                "performer+",
                "transnormer+",
                "yoso+",
                "relu+",
                "hedgehog+",
                "flash_global",
                "linformer",
                "performer",
                "transnormer",
                "yoso",
                "relu",
                "hedgehog",
                "retnet",
                "gla",
                "gated_deltanet"
            })
    void rowsDependOnTheirOwnPathAlone(String kind) {
        Path path = TestModels.write(folder, new TestModels.Shape(kind, VOCAB, 2, 16, 0, 256, 21));
        nothingLeaks(kind, path, new VectorKernels(2));
        nothingLeaks(kind, path, new ReferenceKernels());
    }

    private static void nothingLeaks(String kind, Path path, Kernels kernels) {
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder model = Decoder.load(directory, kernels, DecoderOptions.of(3))) {
            int[] chain = new int[16];
            Arrays.setAll(chain, i -> i - 1);
            int[] tokens = new int[16];
            Arrays.setAll(tokens, i -> (i * 7) % VOCAB);
            float[][] rows = logits(model, tokens, chain, 3);
            for (int last = 0; last < 15; last++) {
                int[] changed = tokens.clone();
                for (int i = last + 1; i < 16; i++) {
                    changed[i] = (tokens[i] + 31) % VOCAB;
                }
                float[][] other = logits(model, changed, chain, 50);
                assertThat(Arrays.copyOf(other, last + 1))
                        .as("%s rows up to %d", kind, last)
                        .isDeepEqualTo(Arrays.copyOf(rows, last + 1));
                assertThat(other[last + 1]).isNotEqualTo(rows[last + 1]);
            }
            int[] treeTokens = Arrays.copyOf(tokens, PARENTS.length);
            float[][] tree = logits(model, treeTokens, PARENTS, 3);
            for (int node = 1; node < PARENTS.length; node++) {
                int[] changed = treeTokens.clone();
                changed[node] = (changed[node] + 11) % VOCAB;
                float[][] other = logits(model, changed, PARENTS, 3);
                for (int i = 0; i < PARENTS.length; i++) {
                    // Plain flash_global sees earlier groups alone: within one, a token reaches no other.
                    boolean below = kind.equals("flash_global") ? i == node : below(i, node);
                    assertThat(Arrays.equals(other[i], tree[i]))
                            .as("%s node %d after changing %d", kind, i, node)
                            .isEqualTo(!below);
                }
            }
        }
    }

    private static boolean below(int node, int ancestor) {
        for (int i = node; i >= 0; i = PARENTS[i]) {
            if (i == ancestor) {
                return true;
            }
        }
        return false;
    }

    /** Logits of all rows, beside a neighbour that runs another token. */
    private static float[][] logits(Decoder model, int[] tokens, int[] parents, int neighbour) {
        Batch batch = new Batch(3, 64, 64);
        batch.addChunk(2, new int[] {neighbour, 4}, 0, 2, true);
        int first = batch.addTree(1, 0, tokens, parents);
        model.forward(batch);
        float[][] out = new float[tokens.length][];
        for (int i = 0; i < out.length; i++) {
            out[i] = Arrays.copyOfRange(model.logits(), (first + i) * VOCAB, (first + i + 1) * VOCAB);
        }
        return out;
    }
}
