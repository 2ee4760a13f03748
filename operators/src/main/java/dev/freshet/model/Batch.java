package dev.freshet.model;

import dev.freshet.kernel.Segments;

/** The rows of one forward pass: tokens, the segments they form, and which rows need logits. Reused; confined to the engine thread. */
public final class Batch {

    private final Segments segments;
    private final int[] tokens;
    private final int[] logitRow;
    private int rows;
    private int logitRows;

    /** Claims memory for at most so many segments, rows and rows with logits. */
    public Batch(int maxSegments, int maxRows, int maxLogitRows) {
        segments = new Segments(maxSegments, maxRows);
        tokens = new int[maxRows];
        logitRow = new int[maxLogitRows];
    }

    /** Forgets all rows. */
    public void clear() {
        segments.clear();
        rows = 0;
        logitRows = 0;
    }

    /**
     * Appends a chunk: count tokens from source[from] on, at absolute position from of the sequence.
     *
     * @param logits whether the last row needs logits
     * @return index of that row among the logit rows, -1 without
     */
    public int addChunk(int slot, int[] source, int from, int count, boolean logits) {
        segments.addChain(slot, from, count);
        System.arraycopy(source, from, tokens, rows, count);
        rows += count;
        if (!logits) {
            return -1;
        }
        logitRow[logitRows] = rows - 1;
        return logitRows++;
    }

    /**
     * Appends a draft tree whose root stands at an absolute position; every row needs logits.
     *
     * @param nodeTokens [n] token of each node
     * @param parents [n] parent of each node, -1 for the root
     * @return index of the root among the logit rows; node i follows at + i
     */
    public int addTree(int slot, int position, int[] nodeTokens, int[] parents) {
        segments.addTree(slot, position, parents);
        int first = logitRows;
        for (int i = 0; i < parents.length; i++) {
            tokens[rows] = nodeTokens[i];
            logitRow[logitRows++] = rows++;
        }
        return first;
    }

    /** The segments. */
    public Segments segments() {
        return segments;
    }

    /** [rows] token ids. */
    public int[] tokens() {
        return tokens;
    }

    /** Number of rows. */
    public int rows() {
        return rows;
    }

    /** Rows that need logits, [logitRows]. */
    public int[] logitRow() {
        return logitRow;
    }

    /** Number of rows that need logits. */
    public int logitRows() {
        return logitRows;
    }
}
