package dev.freshet.model;

/**
 * Rotary embedding: the inverse frequency of each pair of channels, docs/maths.md §3.1. Immutable.
 *
 * @param inverseFrequency [d/2] radians for each position
 * @param magnitude factor of cosine and sine, 1 unless the scaling asks for another
 */
public record RopeConfig(double[] inverseFrequency, double magnitude) {

    /** Writes the cosines [d/2], then the sines [d/2], of a position. */
    public void cosSin(int position, float[] out, int at) {
        int half = inverseFrequency.length;
        for (int c = 0; c < half; c++) {
            double angle = position * inverseFrequency[c];
            out[at + c] = (float) (StrictMath.cos(angle) * magnitude);
            out[at + half + c] = (float) (StrictMath.sin(angle) * magnitude);
        }
    }
}
