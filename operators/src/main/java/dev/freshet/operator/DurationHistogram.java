package dev.freshet.operator;

import dev.freshet.schema.Percentiles;
import org.jspecify.annotations.Nullable;

/**
 * Counts durations in buckets that grow by 2.2 % each, from a microsecond to an hour: quantiles are exact to a bucket, memory is
 * fixed. Confined to one thread.
 */
final class DurationHistogram {

    private static final int PER_OCTAVE = 32;
    private static final int BUCKETS = 32 * PER_OCTAVE;
    private static final double SMALLEST_MILLIS = 1e-3;

    private final long[] counts = new long[BUCKETS];
    private long total;

    void record(double millis, long times) {
        double octaves = Math.log(Math.max(millis, SMALLEST_MILLIS) / SMALLEST_MILLIS) / Math.log(2);
        int bucket = (int) Math.min(BUCKETS - 1, octaves * PER_OCTAVE);
        counts[bucket] += times;
        total += times;
    }

    long total() {
        return total;
    }

    /** The upper edge, in milliseconds, of the bucket that holds a quantile; 0 when nothing was counted. */
    double quantileMillis(double quantile) {
        long rank = (long) Math.ceil(quantile * total);
        long seen = 0;
        for (int i = 0; i < BUCKETS; i++) {
            seen += counts[i];
            if (seen >= rank && seen > 0) {
                return SMALLEST_MILLIS * Math.pow(2, (i + 1.0) / PER_OCTAVE);
            }
        }
        return 0;
    }

    /** Adds the counts of another histogram. */
    void add(DurationHistogram other) {
        for (int i = 0; i < BUCKETS; i++) {
            counts[i] += other.counts[i];
        }
        total += other.total;
    }

    void clear() {
        java.util.Arrays.fill(counts, 0);
        total = 0;
    }

    /** Quantiles in seconds, or null when nothing was counted. */
    @Nullable
    Percentiles percentiles() {
        if (total == 0) {
            return null;
        }
        return new Percentiles(quantileMillis(0.5) / 1e3, quantileMillis(0.9) / 1e3, quantileMillis(0.99) / 1e3);
    }
}
