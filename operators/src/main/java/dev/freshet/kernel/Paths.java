package dev.freshet.kernel;

/** The accepted rows of every segment of a step, root first. Reused between steps; confined to the engine thread. */
public final class Paths {

    private final int[] start;
    private final int[] row;
    private int count;

    /** Claims memory for at most so many segments and rows. */
    public Paths(int maxSegments, int maxRows) {
        start = new int[maxSegments + 1];
        row = new int[maxRows];
    }

    /** Forgets all paths. */
    public void clear() {
        count = 0;
    }

    /**
     * Appends the path of the next segment.
     *
     * @param first row index of the segment's node 0
     * @param nodes node indices within the segment, root first
     * @param n number of nodes accepted; 0 commits nothing
     */
    public void add(int first, int[] nodes, int n) {
        for (int i = 0; i < n; i++) {
            row[start[count] + i] = first + nodes[i];
        }
        start[count + 1] = start[count] + n;
        count++;
    }

    /** Number of segments. */
    public int count() {
        return count;
    }

    /** Number of accepted rows of a segment. */
    public int size(int segment) {
        return start[segment + 1] - start[segment];
    }

    /** The i-th accepted row of a segment. */
    public int row(int segment, int i) {
        return row[start[segment] + i];
    }
}
