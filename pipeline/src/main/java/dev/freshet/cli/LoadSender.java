package dev.freshet.cli;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;

/**
 * Sends requests at their times, whatever becomes of those before: what is late is sent at once and counted as late. Requests are made
 * ahead while there is time, so that making them does not delay them. Confined to one thread, but for the counters.
 */
final class LoadSender {

    /** Requests made ahead at most. */
    private static final int AHEAD = 256;

    /** Time that must be left before the next request to make another one. */
    private static final long SPARE_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

    private static final int DIGITS = 3;
    private static final long MICRO = 1000;

    private final Traffic traffic;
    private final Pace pace;
    private final Maker maker;
    private final Out out;
    private final Histogram lateness = new Histogram(DIGITS);
    private volatile int sent;

    /** The clock of a run. */
    interface Pace {
        /** Nanoseconds since the start of the run. */
        long nanos();

        /** Returns at a time after the start, or at once when it is over. */
        void await(long nanos) throws InterruptedException;
    }

    /** Makes the record of a request. */
    interface Maker {
        byte[] make(int number, Traffic.Arrival arrival);
    }

    /** Where records go; may wait. */
    interface Out {
        void send(int number, byte[] record);
    }

    LoadSender(Traffic traffic, Pace pace, Maker maker, Out out) {
        this.traffic = traffic;
        this.pace = pace;
        this.maker = maker;
        this.out = out;
    }

    /** Sends everything. */
    void run() throws InterruptedException {
        Queue<byte[]> made = new ArrayDeque<>();
        int next = 0;
        int all = traffic.arrivals().size();
        for (int number = 0; number < all; number++) {
            long due = traffic.arrivals().get(number).nanos();
            while (next < all && (made.isEmpty() || (made.size() < AHEAD && due - pace.nanos() > SPARE_NANOS))) {
                made.add(maker.make(next, traffic.arrivals().get(next)));
                next++;
            }
            pace.await(due);
            lateness.recordValue(Math.max(0, pace.nanos() - due) / MICRO);
            out.send(number, made.remove());
            sent = number + 1;
        }
    }

    /** Requests sent so far. Any thread may ask. */
    int sent() {
        return sent;
    }

    /** How late requests were sent, in microseconds. To be read after {@link #run}. */
    Histogram lateness() {
        return lateness;
    }
}
