package dev.freshet.kernel;

/** Where the rows of a weight matrix come from while it is packed. Called from several threads. */
@FunctionalInterface
public interface MatrixSource {

    /**
     * Copies one row.
     *
     * @param row output index of the matrix
     * @param out overwritten, [k] weights of that output
     */
    void row(int row, float[] out);
}
