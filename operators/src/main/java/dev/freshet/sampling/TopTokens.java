package dev.freshet.sampling;

/**
 * Selects the largest of many values, equal ones by lower index, with a heap of the size of the answer: one comparison for
 * nearly every value, and no allocation once it has seen its largest answer. Confined to the engine thread.
 */
public final class TopTokens {

    // A heap with the worst entry on top: the smallest value, and the highest index among equal ones.
    private double[] value = new double[16];
    private int[] index = new int[16];
    private int size;

    /**
     * Finds the indices of the largest values.
     *
     * @param values in; NaN counts as the smallest value
     * @param offset first value
     * @param count number of values
     * @param k number of indices wanted, 0 to count
     * @param out overwritten from 0 to k, indices counted from offset, largest value first
     */
    public void select(float[] values, int offset, int count, int k, int[] out) {
        start(count, k);
        int i = 0;
        for (; size < k; i++) {
            push(values[offset + i], i);
        }
        for (; k > 0 && i < count; i++) {
            // A later equal value never displaces an earlier one.
            if (values[offset + i] > value[0]) {
                replaceTop(values[offset + i], i);
            }
        }
        drain(out);
    }

    /** Finds the indices of the largest values, as the other form does. */
    public void select(double[] values, int count, int k, int[] out) {
        start(count, k);
        int i = 0;
        for (; size < k; i++) {
            push(values[i], i);
        }
        for (; k > 0 && i < count; i++) {
            if (values[i] > value[0]) {
                replaceTop(values[i], i);
            }
        }
        drain(out);
    }

    private void start(int count, int k) {
        if (k < 0 || k > count) {
            throw new IllegalArgumentException("k expected in [0, " + count + "], got " + k);
        }
        if (value.length < k) {
            value = new double[k];
            index = new int[k];
        }
        size = 0;
    }

    private void push(double v, int id) {
        double ranked = Double.isNaN(v) ? Double.NEGATIVE_INFINITY : v;
        int at = size++;
        while (at > 0) {
            int parent = (at - 1) / 2;
            if (!worse(ranked, id, parent)) {
                break;
            }
            value[at] = value[parent];
            index[at] = index[parent];
            at = parent;
        }
        value[at] = ranked;
        index[at] = id;
    }

    private void replaceTop(double v, int id) {
        int at = 0;
        for (int child = 1; child < size; child = 2 * at + 1) {
            if (child + 1 < size && worse(value[child + 1], index[child + 1], child)) {
                child++;
            }
            if (worse(v, id, child)) {
                break;
            }
            value[at] = value[child];
            index[at] = index[child];
            at = child;
        }
        value[at] = v;
        index[at] = id;
    }

    private boolean worse(double v, int id, int at) {
        return v < value[at] || (v == value[at] && id > index[at]);
    }

    private void drain(int[] out) {
        while (size > 0) {
            out[size - 1] = index[0];
            size--;
            if (size > 0) {
                replaceTop(value[size], index[size]);
            }
        }
    }
}
