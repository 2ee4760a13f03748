package dev.freshet.kernel;

/**
 * The token rows of one step: consecutive rows form a segment, the new tokens of one sequence in topological order (a chunk is a
 * chain, a draft is a tree). Reused between steps; confined to the engine thread.
 */
public final class Segments {

    private final int[] slot;
    private final int[] position;
    private final int[] first;
    private final int[] size;
    private final boolean[] chain;
    private final int[] parent;
    private final int[] depth;
    private int count;
    private int rows;

    /** Claims memory for at most so many segments and rows. */
    public Segments(int maxSegments, int maxRows) {
        slot = new int[maxSegments];
        position = new int[maxSegments];
        first = new int[maxSegments];
        size = new int[maxSegments];
        chain = new boolean[maxSegments];
        parent = new int[maxRows];
        depth = new int[maxRows];
    }

    /** Forgets all rows. */
    public void clear() {
        count = 0;
        rows = 0;
    }

    /** Appends a chain of tokens that follow position - 1 of the sequence in a slot. */
    public void addChain(int slot, int position, int tokens) {
        open(slot, position, tokens, true);
        for (int t = 0; t < tokens; t++) {
            parent[rows + t] = t - 1;
            depth[rows + t] = t;
        }
        rows += tokens;
    }

    /**
     * Appends a tree.
     *
     * @param parents [n] index of each node's parent, smaller than its own; -1 for node 0, the only root
     */
    public void addTree(int slot, int position, int[] parents) {
        open(slot, position, parents.length, isChain(parents));
        for (int t = 0; t < parents.length; t++) {
            int p = parents[t];
            if (t == 0 ? p != -1 : p < 0 || p >= t) {
                throw new IllegalArgumentException(
                        "Cannot add a tree: expected parents before their children and one root, got parent " + p
                                + " of node " + t);
            }
            parent[rows + t] = p;
            depth[rows + t] = t == 0 ? 0 : depth[rows + p] + 1;
        }
        rows += parents.length;
    }

    private static boolean isChain(int[] parents) {
        for (int t = 0; t < parents.length; t++) {
            if (parents[t] != t - 1) {
                return false;
            }
        }
        return true;
    }

    private void open(int newSlot, int newPosition, int newSize, boolean newChain) {
        if (newSize < 1 || rows + newSize > parent.length || count == slot.length) {
            throw new IllegalArgumentException("Cannot add a segment of " + newSize + " rows: " + rows + " of "
                    + parent.length + " rows and " + count + " of " + slot.length + " segments are taken");
        }
        slot[count] = newSlot;
        position[count] = newPosition;
        first[count] = rows;
        size[count] = newSize;
        chain[count] = newChain;
        count++;
    }

    /** Number of segments. */
    public int count() {
        return count;
    }

    /** Number of rows of all segments. */
    public int rows() {
        return rows;
    }

    /** Slot that holds the state of a segment's sequence. */
    public int slot(int segment) {
        return slot[segment];
    }

    /** Absolute position of a segment's first row: tokens already committed. */
    public int position(int segment) {
        return position[segment];
    }

    /** Index of a segment's first row. */
    public int first(int segment) {
        return first[segment];
    }

    /** Number of rows of a segment. */
    public int size(int segment) {
        return size[segment];
    }

    /** Whether every row's parent is the row before it. */
    public boolean chain(int segment) {
        return chain[segment];
    }

    /** Parent of node t of a segment as an index within the segment, -1 for the root. */
    public int parent(int segment, int t) {
        return parent[first[segment] + t];
    }

    /** Number of proper ancestors of a row. */
    public int depth(int row) {
        return depth[row];
    }

    /** Absolute position of node t of a segment. */
    public int positionOf(int segment, int t) {
        return position[segment] + depth[first[segment] + t];
    }

    /**
     * Refuses rows that lie beyond the open group or the capacity of their sequence.
     *
     * @throws IllegalStateException naming the segment
     */
    public void requireWithin(AttentionSpec spec) {
        for (int s = 0; s < count; s++) {
            int last = 0;
            for (int t = 0; t < size[s]; t++) {
                last = Math.max(last, depth[first[s] + t]);
            }
            int from = position[s];
            if (spec.past() == AttentionSpec.Past.CACHE) {
                if (from + last >= spec.capacity()) {
                    throw new IllegalStateException("Cannot attend: expected positions below the capacity "
                            + spec.capacity() + ", got " + (from + last) + " (segment " + s + ")");
                }
            } else if (from % spec.group() + last >= spec.group()) {
                throw new IllegalStateException("Cannot attend: expected rows within the open group of " + spec.group()
                        + " tokens, got position " + from + " and depth " + last + " (segment " + s + ")");
            }
        }
    }

    /**
     * Writes the nodes from the root to node t of a segment.
     *
     * @param out overwritten, at least depth + 1 long
     * @return their number
     */
    public int path(int segment, int t, int[] out) {
        int n = depth[first[segment] + t] + 1;
        int node = t;
        for (int i = n - 1; i >= 0; i--) {
            out[i] = node;
            node = parent[first[segment] + node];
        }
        return n;
    }
}
