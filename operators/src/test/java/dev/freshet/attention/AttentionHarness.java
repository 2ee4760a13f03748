package dev.freshet.attention;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.kernel.AttentionCall;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.AttentionWeights;
import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.GoldenTensors;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.Segments;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One attention layer with one sequence, driven by tokens of the golden inputs. */
final class AttentionHarness {

    private static final int MAX_ROWS = 128;

    private final Kernels kernels;
    private final GoldenTensors inputs;
    private final AttentionSpec spec;
    private final AttentionWeights weights;
    private final Buffer[] slots;
    private final Buffer qkv;
    private final @Nullable Buffer gates;
    private final Buffer records;
    private final Buffer out;
    private final Segments segments = new Segments(4, MAX_ROWS);
    private int position;

    AttentionHarness(
            Kernels kernels,
            int heads,
            int kvHeads,
            int d,
            JsonNode golden,
            GoldenTensors parameters,
            GoldenTensors inputs) {
        this.kernels = kernels;
        this.inputs = inputs;
        JsonNode o = golden.get("options");
        AttentionOptions options = new AttentionOptions(
                o.get("group_size").asInt(),
                o.get("conv_taps").asInt(),
                o.get("feature_dim").asInt(),
                o.get("hash_rounds").asInt(),
                o.get("hash_bits").asInt(),
                o.get("slots").asInt(),
                o.get("slot_positions").asInt());
        LayerAttention layer = new LayerAttention(
                AttentionKind.of(golden.get("kind").asText()),
                golden.get("augmented").asBoolean());
        spec = layer.spec(options, heads, kvHeads, d, 160);
        weights = weights(layer, parameters);
        slots = new Buffer[] {kernels.allocate(1), kernels.allocate(7 + spec.slotFloats())};
        qkv = nan(MAX_ROWS * (heads + 2 * kvHeads) * d);
        gates = switch (layer.kind()) {
            case GLA -> nan(MAX_ROWS * kvHeads * d);
            case GATED_DELTANET -> nan(MAX_ROWS * 2 * kvHeads);
            default -> null;
        };
        records = nan(MAX_ROWS * spec.recordFloats());
        out = nan(MAX_ROWS * heads * d);
    }

    private Buffer nan(int length) {
        float[] values = new float[length];
        Arrays.fill(values, Float.NaN);
        return kernels.upload(values);
    }

    private AttentionWeights weights(LayerAttention layer, GoldenTensors p) {
        int f = spec.featureDim();
        int d = spec.headDim();
        Buffer query =
                switch (layer.kind()) {
                    case PERFORMER -> transposed(p.floats("param.performer.projection"), 1, f, d);
                    case HEDGEHOG -> transposed(p.floats("param.hedgehog.q_weight"), spec.heads(), f / 2, d);
                    case YOSO ->
                        transposed(
                                p.floats("param.yoso.planes"), spec.kvHeads(), spec.hashRounds() * spec.hashBits(), d);
                    default -> null;
                };
        boolean hedgehog = layer.kind() == AttentionKind.HEDGEHOG;
        return new AttentionWeights(
                query,
                hedgehog ? transposed(p.floats("param.hedgehog.k_weight"), spec.kvHeads(), f / 2, d) : null,
                optional(p, "param.linformer.slots"),
                optional(p, "param.retnet.log_decay"),
                optional(p, "param.out_norm.weight"),
                optional(p, "param.conv.weight"),
                layer.augmented() ? p.floats("param.alpha")[0] : 1f);
    }

    private @Nullable Buffer optional(GoldenTensors p, String name) {
        return p.has(name) ? kernels.upload(p.floats(name)) : null;
    }

    private Buffer transposed(float[] stored, int count, int n, int k) {
        float[] t = new float[stored.length];
        for (int b = 0; b < count; b++) {
            for (int i = 0; i < n; i++) {
                for (int c = 0; c < k; c++) {
                    t[(b * k + c) * n + i] = stored[(b * n + i) * k + c];
                }
            }
        }
        return kernels.upload(t);
    }

    private boolean cache() {
        return spec.past() == AttentionSpec.Past.CACHE;
    }

    private int room() {
        return cache() ? MAX_ROWS : spec.group() - position % spec.group();
    }

    /** Runs and commits tokens [from, from + count) of the inputs in pieces that end at group edges; returns their rows. */
    float[][] chunk(int from, int count) {
        float[][] rows = new float[count][];
        int done = 0;
        while (done < count) {
            int n = Math.min(count - done, room());
            int[] tokens = new int[n];
            int[] nodes = new int[n];
            for (int i = 0; i < n; i++) {
                tokens[i] = from + done + i;
                nodes[i] = i;
            }
            segments.clear();
            segments.addChain(1, position, n);
            float[][] part = attend(tokens);
            System.arraycopy(part, 0, rows, done, n);
            commit(nodes, n);
            done += n;
        }
        return rows;
    }

    /** Rows of a tree of inputs [first, first + n) after the committed tokens; the state stays as it is. */
    float[][] tree(int first, int[] parents) {
        float[] before = state();
        float[][] rows = new float[parents.length][];
        int[] tokens = new int[parents.length];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = first + i;
        }
        treeRows(tokens, parents, rows, all(parents.length));
        if (!Arrays.equals(before, state())) {
            throw new AssertionError("a tree changed the state");
        }
        return rows;
    }

    private static List<Integer> all(int n) {
        List<Integer> out = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            out.add(i);
        }
        return out;
    }

    /** Verifies the nodes (a subtree, root first) that fit into the open group, then the subtrees beyond the edge one by one. */
    private void treeRows(int[] tokens, int[] parents, float[][] rows, List<Integer> nodes) {
        int root = nodes.get(0);
        List<Integer> inside = new ArrayList<>();
        List<Integer> edge = new ArrayList<>();
        for (int node : nodes) {
            int depth = depth(parents, node) - depth(parents, root);
            if (depth < room()) {
                inside.add(node);
            } else if (depth == room()) {
                edge.add(node);
            }
        }
        runTree(tokens, parents, inside, rows);
        int at = position;
        float[] saved = state();
        for (int beyond : edge) {
            runTree(tokens, parents, inside, rows);
            commitTo(parents, inside, parents[beyond]);
            List<Integer> subtree = new ArrayList<>();
            for (int node : nodes) {
                if (isAncestor(parents, beyond, node)) {
                    subtree.add(node);
                }
            }
            treeRows(tokens, parents, rows, subtree);
            position = at;
            kernels.write(saved, 0, saved.length, slots[1], 0);
        }
    }

    private void runTree(int[] tokens, int[] parents, List<Integer> nodes, float[][] rows) {
        int[] local = new int[nodes.size()];
        int[] mine = new int[nodes.size()];
        for (int i = 0; i < local.length; i++) {
            local[i] = i == 0 ? -1 : nodes.indexOf(parents[nodes.get(i)]);
            mine[i] = tokens[nodes.get(i)];
        }
        segments.clear();
        segments.addTree(1, position, local);
        float[][] part = attend(mine);
        for (int i = 0; i < local.length; i++) {
            rows[nodes.get(i)] = part[i];
        }
    }

    private void commitTo(int[] parents, List<Integer> nodes, int last) {
        List<Integer> path = new ArrayList<>();
        for (int node = last; node >= 0 && nodes.contains(node); node = parents[node]) {
            path.add(0, nodes.indexOf(node));
        }
        commit(path.stream().mapToInt(Integer::intValue).toArray(), path.size());
    }

    private static int depth(int[] parents, int node) {
        int depth = 0;
        for (int p = parents[node]; p >= 0; p = parents[p]) {
            depth++;
        }
        return depth;
    }

    private static boolean isAncestor(int[] parents, int ancestor, int node) {
        for (int p = node; p >= 0; p = parents[p]) {
            if (p == ancestor) {
                return true;
            }
        }
        return false;
    }

    /** Verifies the tree and commits a path of it, group by group. */
    void commitTreePath(int first, int[] parents, int[] path) {
        int done = 0;
        while (done < path.length) {
            int n = Math.min(path.length - done, room());
            boolean whole = done == 0 && n == path.length && fits(parents);
            List<Integer> nodes = new ArrayList<>();
            if (whole) {
                nodes.addAll(all(parents.length));
            } else {
                for (int i = 0; i < n; i++) {
                    nodes.add(path[done + i]);
                }
            }
            int[] tokens = new int[parents.length];
            for (int i = 0; i < tokens.length; i++) {
                tokens[i] = first + i;
            }
            runTree(tokens, parents, nodes, new float[parents.length][]);
            commitTo(parents, nodes, path[done + n - 1]);
            done += n;
        }
    }

    private boolean fits(int[] parents) {
        for (int i = 0; i < parents.length; i++) {
            if (depth(parents, i) >= room()) {
                return false;
            }
        }
        return true;
    }

    private float[][] attend(int[] tokens) {
        float[] rows = new float[tokens.length * (spec.heads() + 2 * spec.kvHeads()) * spec.headDim()];
        int width = rows.length / tokens.length;
        int d = spec.headDim();
        for (int i = 0; i < tokens.length; i++) {
            copyHeads("q", spec.heads(), tokens[i], rows, i * width);
            copyHeads("k", spec.kvHeads(), tokens[i], rows, i * width + spec.heads() * d);
            copyHeads("v", spec.kvHeads(), tokens[i], rows, i * width + (spec.heads() + spec.kvHeads()) * d);
        }
        kernels.write(rows, 0, rows.length, qkv, 0);
        writeGates(tokens);
        kernels.attend(call());
        float[][] result = new float[tokens.length][spec.heads() * d];
        for (int i = 0; i < tokens.length; i++) {
            kernels.read(out, (long) i * spec.heads() * d, result[i], 0, spec.heads() * d);
        }
        return result;
    }

    private void copyHeads(String name, int heads, int token, float[] to, int at) {
        float[] all = inputs.floats(name);
        int total = inputs.shape(name)[1];
        int d = spec.headDim();
        for (int h = 0; h < heads; h++) {
            System.arraycopy(all, (h * total + token) * d, to, at + h * d, d);
        }
    }

    private void writeGates(int[] tokens) {
        int kv = spec.kvHeads();
        if (gates == null) {
            return;
        }
        boolean gla = spec.past() == AttentionSpec.Past.CHANNEL_DECAY;
        int width = gla ? kv * spec.headDim() : 2 * kv;
        float[] rows = new float[tokens.length * width];
        for (int i = 0; i < tokens.length; i++) {
            if (gla) {
                copyHeads("gla.log_gate", kv, tokens[i], rows, i * width);
            } else {
                int total = inputs.shape("gated_deltanet.beta")[1];
                for (int g = 0; g < kv; g++) {
                    rows[i * width + g] = inputs.floats("gated_deltanet.beta")[g * total + tokens[i]];
                    rows[i * width + kv + g] = inputs.floats("gated_deltanet.log_decay")[g * total + tokens[i]];
                }
            }
        }
        kernels.write(rows, 0, rows.length, gates, 0);
    }

    private void commit(int[] nodes, int n) {
        Paths paths = new Paths(1, MAX_ROWS);
        paths.add(0, nodes, n);
        kernels.commit(call(), paths);
        position += n;
    }

    private AttentionCall call() {
        return new AttentionCall(spec, weights, segments, slots, 7, qkv, gates, records, out);
    }

    /** The whole slot. */
    float[] state() {
        float[] all = new float[(int) slots[1].length()];
        kernels.read(slots[1], 0, all, 0, all.length);
        return all;
    }
}
