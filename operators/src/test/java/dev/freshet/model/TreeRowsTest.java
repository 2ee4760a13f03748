package dev.freshet.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.ReferenceKernels;
import dev.freshet.kernel.VectorKernels;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * One forward pass: the logits of a tree's row are, bit for bit, those of decoding its path token by token, and of its path as a
 * chunk; and the state after committing a path is the state after decoding it, as all that follows shows.
 */
final class TreeRowsTest {

    private static final int VOCAB = 90;
    private static final int GROUP = 16;
    private static final int[] PARENTS = {-1, 0, 0, 1, 1, 2, 3, 5, 3, 6};

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "softmax",
                "flash_local",
                "flash_local+",
                "flash_global",
                "flash_global+",
                "linformer",
                "linformer+",
                "performer",
                "performer+",
                "transnormer",
                "transnormer+",
                "yoso",
                "yoso+",
                "relu",
                "relu+",
                "hedgehog",
                "hedgehog+",
                "retnet",
                "gla",
                "gated_deltanet",
                "transnormer_diag",
                "yoso_local"
            })
    void equalTheirPathsDecoded(String kind) {
        Path path = TestModels.write(folder, new TestModels.Shape(kind, VOCAB, 2, GROUP, 0, 256, 31));
        for (Supplier<Kernels> kernels :
                List.<Supplier<Kernels>>of(ReferenceKernels::new, () -> new VectorKernels(2))) {
            try (ModelDirectory directory = ModelDirectory.open(path);
                    Decoder model = Decoder.load(directory, kernels.get(), DecoderOptions.of(2))) {
                // The deepest path has six nodes: it just fits into the group after 10 tokens, and after 26.
                for (int prefix : new int[] {1, 10, 16, 26}) {
                    check(kind, model, prefix);
                }
            }
        }
    }

    private static void check(String kind, Decoder model, int prefix) {
        Runner tree = new Runner(model, 0);
        tree.prefix(prefix);
        int[] tokens = new int[PARENTS.length];
        Arrays.setAll(tokens, i -> (5 + 7 * i) % VOCAB);
        float[][] rows = tree.rows(prefix, tokens, PARENTS);
        for (int node = 0; node < PARENTS.length; node++) {
            String what = kind + " node " + node + " after " + prefix;
            List<Integer> nodes = new ArrayList<>();
            for (int i = node; i >= 0; i = PARENTS[i]) {
                nodes.add(0, i);
            }
            Runner steps = new Runner(model, 1);
            steps.prefix(prefix);
            for (int i = 0; i < nodes.size(); i++) {
                float[][] one = steps.rows(prefix + i, new int[] {tokens[nodes.get(i)]}, new int[] {-1});
                assertThat(one[0]).as(what + " ancestor " + i).isEqualTo(rows[nodes.get(i)]);
                steps.commit(new int[] {0});
            }
            float[] next = steps.rows(prefix + nodes.size(), new int[] {3}, new int[] {-1})[0];
            steps.release(prefix + nodes.size());
            Runner committed = new Runner(model, 1);
            committed.prefix(prefix);
            committed.rows(prefix, tokens, PARENTS);
            committed.commit(nodes.stream().mapToInt(Integer::intValue).toArray());
            assertThat(committed.rows(prefix + nodes.size(), new int[] {3}, new int[] {-1})[0])
                    .as(what + " committed")
                    .isEqualTo(next);
            committed.release(prefix + nodes.size());
            Runner chunk = new Runner(model, 1);
            chunk.prefix(prefix);
            int[] chain = new int[nodes.size()];
            Arrays.setAll(chain, i -> i - 1);
            float[][] whole =
                    chunk.rows(prefix, nodes.stream().mapToInt(i -> tokens[i]).toArray(), chain);
            assertThat(whole[chain.length - 1]).as(what + " as a chunk").isEqualTo(rows[node]);
            chunk.release(prefix);
        }
        tree.release(prefix);
    }

    /** One slot of a model. */
    private static final class Runner {
        private final Decoder model;
        private final int slot;
        private final Batch batch;
        private final Paths paths;

        Runner(Decoder model, int slot) {
            this.model = model;
            this.slot = slot;
            batch = new Batch(1, model.maxRows(), model.maxLogitRows());
            paths = new Paths(1, model.maxRows());
        }

        void prefix(int length) {
            int[] tokens = new int[length];
            Arrays.setAll(tokens, i -> (11 + 13 * i) % VOCAB);
            for (int at = 0; at < length; ) {
                int n = Math.min(GROUP - at % GROUP, length - at);
                batch.clear();
                batch.addChunk(slot, tokens, at, n, false);
                model.forward(batch);
                int[] all = new int[n];
                Arrays.setAll(all, i -> i);
                commit(all);
                at += n;
            }
        }

        float[][] rows(int position, int[] tokens, int[] parents) {
            batch.clear();
            int first = batch.addTree(slot, position, tokens, parents);
            model.forward(batch);
            float[][] out = new float[tokens.length][];
            for (int i = 0; i < out.length; i++) {
                out[i] = Arrays.copyOfRange(model.logits(), (first + i) * VOCAB, (first + i + 1) * VOCAB);
            }
            return out;
        }

        void commit(int[] nodes) {
            paths.clear();
            paths.add(0, nodes, nodes.length);
            model.commit(paths);
        }

        void release(int tokens) {
            model.release(slot, tokens);
        }
    }
}
