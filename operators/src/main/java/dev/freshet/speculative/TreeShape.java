package dev.freshet.speculative;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A candidate tree as Medusa writes it (Cai et al. 2024, arXiv 2401.10774): a choice [r1 .. rL] is a node at depth L that takes the
 * r_L-th best token of head L. Nodes are sorted by length, then lexicographically, so each prefix of the sorted list that is closed
 * under parents is a smaller tree. Immutable.
 */
public final class TreeShape {

    private static final Comparator<List<Integer>> ORDER =
            Comparator.<List<Integer>>comparingInt(List::size).thenComparing(TreeShape::lexicographic);

    private final int[] parent;
    private final int[] depth;
    private final int[] rank;
    private final int maxRank;

    private TreeShape(List<List<Integer>> sorted) {
        int n = sorted.size() + 1;
        parent = new int[n];
        depth = new int[n];
        rank = new int[n];
        parent[0] = -1;
        Map<List<Integer>, Integer> index = new HashMap<>();
        index.put(List.of(), 0);
        int widest = 0;
        for (int i = 1; i < n; i++) {
            List<Integer> path = sorted.get(i - 1);
            index.put(path, i);
            depth[i] = path.size();
            rank[i] = path.get(path.size() - 1);
            Integer above = index.get(path.subList(0, path.size() - 1));
            if (above == null) {
                throw new IllegalArgumentException(
                        "Cannot build a tree: path " + path + " has no parent among the choices");
            }
            parent[i] = above;
            widest = Math.max(widest, rank[i]);
        }
        maxRank = widest;
    }

    /** The tree of all choices. */
    public static TreeShape of(List<List<Integer>> choices) {
        return new TreeShape(choices.stream().sorted(ORDER).toList());
    }

    /**
     * The likeliest part of the choices with at most so many nodes, the root included: the sum of (rank + 1) along a path stands for
     * how unlikely it is, as the accuracy of a head falls about geometrically with rank and depth.
     */
    public static TreeShape pruned(List<List<Integer>> choices, int nodes) {
        Comparator<List<Integer>> byCost = Comparator.comparingInt(
                path -> path.stream().mapToInt(rank -> rank + 1).sum());
        List<List<Integer>> kept = new ArrayList<>(choices);
        kept.sort(byCost.thenComparing(ORDER));
        return of(kept.subList(0, Math.min(kept.size(), Math.max(0, nodes - 1))));
    }

    private static int lexicographic(List<Integer> a, List<Integer> b) {
        for (int i = 0; i < a.size(); i++) {
            int order = Integer.compare(a.get(i), b.get(i));
            if (order != 0) {
                return order;
            }
        }
        return 0;
    }

    /** Number of nodes, the root included. */
    public int size() {
        return parent.length;
    }

    /** Parent of a node, -1 for the root. */
    public int parent(int node) {
        return parent[node];
    }

    /** Proper ancestors of a node. */
    public int depth(int node) {
        return depth[node];
    }

    /** Rank of a node's token among those of its head. */
    public int rank(int node) {
        return rank[node];
    }

    /** Largest rank of any node. */
    public int maxRank() {
        return maxRank;
    }

    /** Number of nodes that remain when nodes deeper than a limit are dropped; they come first in the order. */
    public int sizeWithin(int maxDepth) {
        int n = 0;
        while (n < depth.length && depth[n] <= maxDepth) {
            n++;
        }
        return n;
    }
}
