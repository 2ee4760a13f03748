package dev.freshet.cli;

import dev.freshet.kernel.LimitProbe;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongSupplier;

/**
 * What the machine can do at the moment, measured: bytes read and multiply-adds for each second. Confined to one thread.
 */
final class MachineLimits implements AutoCloseable {

    /** Bytes that no cache of today holds. */
    private static final long BEYOND_CACHES = 256L << 20;

    private static final long SMALLEST = 1L << 20;

    private final Meter meter;
    private final LimitProbe one;
    private final LimitProbe all;
    private final int threads;
    private final double readOne;
    private final double flopsOne;
    private final double flopsAll;
    private final Map<Long, Double> readAll = new TreeMap<>();

    /** Measures with one thread and with so many. */
    MachineLimits(Meter meter, int threads) {
        this.meter = meter;
        this.threads = threads;
        one = new LimitProbe(1);
        all = new LimitProbe(threads);
        float[] data = array(BEYOND_CACHES);
        readOne = rate(() -> one.read(data));
        readAll.put(BEYOND_CACHES, rate(() -> all.read(data)));
        flopsOne = rate(one::multiplyAdd);
        flopsAll = rate(all::multiplyAdd);
    }

    private double rate(LongSupplier work) {
        double high = meter.measure(work).high();
        if (!Float.isFinite(one.sink() + all.sink())) {
            throw new IllegalStateException("Cannot measure: the probe gave no finite sum");
        }
        return high;
    }

    private static float[] array(long bytes) {
        float[] data = new float[(int) (bytes / 4)];
        Arrays.fill(data, 0x1p-20f);
        return data;
    }

    /** Threads of the figures for all. */
    int threads() {
        return threads;
    }

    /** Bytes a second that one thread reads from main memory. */
    double readOne() {
        return readOne;
    }

    /** Bytes a second that all threads read from main memory. */
    double readAll() {
        return readFor(BEYOND_CACHES);
    }

    /** Bytes a second that all threads read over and over from a working set of this size, which caches may hold. */
    double readFor(long bytes) {
        long size = SMALLEST;
        while (size < bytes && size < BEYOND_CACHES) {
            size *= 2;
        }
        Double known = readAll.get(size);
        if (known == null) {
            float[] data = array(size);
            known = rate(() -> all.read(data));
            readAll.put(size, known);
        }
        return known;
    }

    /** Floating-point operations a second of one thread. */
    double flopsOne() {
        return flopsOne;
    }

    /** Floating-point operations a second of all threads. */
    double flopsAll() {
        return flopsAll;
    }

    @Override
    public void close() {
        one.close();
        all.close();
    }
}
