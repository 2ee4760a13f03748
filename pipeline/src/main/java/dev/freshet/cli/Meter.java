package dev.freshet.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * Repeats work until its speed has settled (the compiler is done), then measures it a few times. Confined to one thread.
 */
final class Meter {

    /** Batches that must agree before anything counts, and how well. */
    private static final int AGREEING = 3;

    private static final double AGREEMENT = 1.03;

    /** Part of the longest warm-up that is always waited: code of the first compiler is steady too, before the second replaces it. */
    private static final int LEAST_PART = 3;

    private final LongSupplier clock;
    private final int runs;
    private final long batchNanos;
    private final long warmNanos;

    /**
     * Units of work for each second.
     *
     * @param median median of the measured batches
     * @param low slowest batch
     * @param high fastest batch
     * @param settled whether three batches in a row agreed within 3 % before the measurement
     */
    record Rate(double median, double low, double high, boolean settled) {}

    /**
     * Creates a meter.
     *
     * @param clock nanoseconds of a monotonic clock
     * @param runs measured batches, at least 1
     * @param batchNanos shortest duration of a batch
     * @param warmNanos longest time to wait for agreement
     */
    Meter(LongSupplier clock, int runs, long batchNanos, long warmNanos) {
        this.clock = clock;
        this.runs = runs;
        this.batchNanos = batchNanos;
        this.warmNanos = warmNanos;
    }

    /** Number of measured batches. */
    int runs() {
        return runs;
    }

    /** Measures work that returns the units it did. */
    Rate measure(LongSupplier work) {
        boolean settled = settle(work);
        double[] rates = new double[runs];
        for (int i = 0; i < runs; i++) {
            rates[i] = batch(work);
        }
        Arrays.sort(rates);
        return new Rate(median(rates), rates[0], rates[runs - 1], settled);
    }

    /** Repeats work for a while and until three batches agree within 3 %; returns whether they did in time. */
    boolean settle(LongSupplier work) {
        long start = clock.getAsLong();
        List<Double> last = new ArrayList<>();
        while (true) {
            last.add(batch(work));
            if (last.size() > AGREEING) {
                last.remove(0);
            }
            long nanos = clock.getAsLong() - start;
            if (agree(last) && nanos >= warmNanos / LEAST_PART) {
                return true;
            }
            if (last.size() == AGREEING && nanos > warmNanos) {
                return false;
            }
        }
    }

    /** Whether the last three rates agree within 3 %. */
    static boolean agree(List<Double> rates) {
        if (rates.size() < AGREEING) {
            return false;
        }
        List<Double> last = rates.subList(rates.size() - AGREEING, rates.size());
        double low = last.stream().mapToDouble(Double::doubleValue).min().orElse(0);
        double high = last.stream().mapToDouble(Double::doubleValue).max().orElse(0);
        return high <= low * AGREEMENT;
    }

    /** Runs one batch; returns units for each second. */
    double batch(LongSupplier work) {
        long start = clock.getAsLong();
        long units = 0;
        long nanos;
        do {
            units += work.getAsLong();
            nanos = clock.getAsLong() - start;
        } while (nanos < batchNanos);
        return units * 1e9 / Math.max(1, nanos);
    }

    /** Median of sorted values. */
    static double median(double[] sorted) {
        int n = sorted.length;
        return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    }
}
