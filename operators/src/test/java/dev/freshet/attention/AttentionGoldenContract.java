package dev.freshet.attention;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.kernel.GoldenTensors;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.Tolerances;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every attention case of the golden data: token by token, in odd chunks, as trees after prefixes, and after commits. A chunk or tree
 * that crosses a group edge is run as the engine runs it: up to the edge, then on from the committed state.
 */
public abstract class AttentionGoldenContract {

    private static final JsonNode CASES = GoldenTensors.json("attention/cases.json");
    private static final GoldenTensors INPUTS =
            GoldenTensors.load("attention/" + CASES.get("inputs").asText());

    private Kernels kernels;

    protected abstract Kernels open();

    @BeforeEach
    void start() {
        kernels = open();
    }

    @AfterEach
    void stop() {
        kernels.close();
    }

    protected static Stream<Arguments> cases() {
        List<Arguments> out = new ArrayList<>();
        CASES.get("cases").forEach(c -> out.add(Arguments.of(c.get("name").asText(), c)));
        return out.stream();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void tokenByTokenAndInOddChunks(String name, JsonNode golden) {
        GoldenTensors expected =
                GoldenTensors.load("attention/" + golden.get("file").asText());
        int n = CASES.get("sequence").asInt();
        AttentionHarness steps = harness(golden, expected);
        float[][] single = new float[n][];
        for (int t = 0; t < n; t++) {
            single[t] = steps.chunk(t, 1)[0];
            assertRow(name + " token " + t, single[t], expected, "sequential", t);
        }
        for (JsonNode chunking : CASES.get("chunkings")) {
            AttentionHarness chunks = harness(golden, expected);
            int at = 0;
            for (JsonNode size : chunking) {
                float[][] rows = chunks.chunk(at, size.asInt());
                for (int i = 0; i < rows.length; i++) {
                    assertThat(rows[i])
                            .as("%s token %d in chunks %s", name, at + i, chunking)
                            .isEqualTo(single[at + i]);
                }
                at += size.asInt();
            }
            assertThat(chunks.state())
                    .as("%s state after chunks %s", name, chunking)
                    .isEqualTo(steps.state());
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void treesAfterPrefixes(String name, JsonNode golden) {
        GoldenTensors expected =
                GoldenTensors.load("attention/" + golden.get("file").asText());
        int[] parents = ints(CASES.get("tree").get("parent"));
        for (JsonNode prefix : CASES.get("prefixes")) {
            int p = prefix.asInt();
            JsonNode nodes = golden.get("nodes").get(prefix.asText());
            AttentionHarness harness = harness(golden, expected);
            harness.chunk(0, p);
            float[][] rows = harness.tree(CASES.get("tree_first_token").asInt(), parents);
            for (int i = 0; i < nodes.size(); i++) {
                assertRow(name + " prefix " + p, rows[nodes.get(i).asInt()], expected, "tree." + p, i);
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void nextTokenAfterCommittingPaths(String name, JsonNode golden) {
        GoldenTensors expected =
                GoldenTensors.load("attention/" + golden.get("file").asText());
        for (JsonNode prefix : CASES.get("prefixes")) {
            for (int i = 0; i < CASES.get("commit_paths").size(); i++) {
                int[] path = ints(CASES.get("commit_paths").get(i));
                AttentionHarness harness = harness(golden, expected);
                harness.chunk(0, prefix.asInt());
                harness.commitTreePath(
                        CASES.get("tree_first_token").asInt(),
                        ints(CASES.get("tree").get("parent")),
                        path);
                float[] next = harness.chunk(CASES.get("next_token").asInt(), 1)[0];
                assertRow(name + " after " + prefix, next, expected, "after." + prefix.asText() + "." + i, 0);
            }
        }
    }

    private AttentionHarness harness(JsonNode golden, GoldenTensors parameters) {
        return new AttentionHarness(
                kernels,
                CASES.get("heads").asInt(),
                CASES.get("kv_heads").asInt(),
                CASES.get("head_dim").asInt(),
                golden,
                parameters,
                INPUTS);
    }

    static int[] ints(JsonNode array) {
        int[] out = new int[array.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = array.get(i).asInt();
        }
        return out;
    }

    /** Compares a row [H d] with column t of an expected tensor [H, T, d]. */
    private static void assertRow(String what, float[] row, GoldenTensors expected, String tensor, int t) {
        double[] all = expected.values(tensor);
        int[] shape = expected.shape(tensor);
        int d = shape[2];
        for (int h = 0; h < shape[0]; h++) {
            for (int e = 0; e < d; e++) {
                double want = all[(h * shape[1] + t) * d + e];
                Tolerances.ATTENTION.check(
                        row[h * d + e], want, what + ", " + tensor + " row " + t + " head " + h + " channel " + e);
            }
        }
    }
}
