package dev.freshet.kernel;

/** Where an accepted token's record goes in the state; shared by the CPU backends because it moves floats and computes none. */
final class StateWriter {

    private StateWriter() {}

    /** Copies the record of the token at an absolute position into the open group or the cache of one key/value head. */
    static void append(AttentionSpec spec, float[] state, int base, int position, float[] records, int record) {
        int d = spec.headDim();
        int value = record + spec.recordValue();
        if (spec.past() == AttentionSpec.Past.CACHE) {
            int keys = base + position / AttentionSpec.BLOCK * AttentionSpec.BLOCK * d + position % AttentionSpec.BLOCK;
            for (int c = 0; c < d; c++) {
                state[keys + c * AttentionSpec.BLOCK] = records[record + c];
            }
            System.arraycopy(records, value, state, base + spec.cacheValues() + position * d, d);
            return;
        }
        int at = position % spec.group();
        int stride = spec.groupStride();
        column(records, record, spec.scoreDim(), state, base + spec.scoreOffset() + at, stride);
        column(records, record + spec.recordClose(), spec.closeDim(), state, base + spec.closeOffset() + at, stride);
        column(records, record + spec.recordDecay(), spec.decayDim(), state, base + spec.decayOffset() + at, stride);
        System.arraycopy(records, value, state, base + spec.valueOffset() + (spec.tail() + at) * d, d);
    }

    private static void column(float[] from, int at, int n, float[] to, int first, int stride) {
        for (int c = 0; c < n; c++) {
            to[first + c * stride] = from[at + c];
        }
    }

    /** Whether the token at this position fills its group. */
    static boolean full(AttentionSpec spec, int position) {
        return spec.past() != AttentionSpec.Past.CACHE && (position + 1) % spec.group() == 0;
    }

    /** Keeps the last tail values of the closed group in front of the new one. */
    static void shiftTail(AttentionSpec spec, float[] state, int base) {
        int d = spec.headDim();
        int values = base + spec.valueOffset();
        System.arraycopy(state, values + spec.group() * d, state, values, spec.tail() * d);
    }
}
