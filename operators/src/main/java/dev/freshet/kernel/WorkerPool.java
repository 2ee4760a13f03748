package dev.freshet.kernel;

import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed set of threads that divide index ranges statically: worker w of n always gets the same part, so results cannot depend on
 * timing. The caller is worker 0. Waiting threads spin shortly, then park. {@link #run} is confined to one thread at a time.
 */
final class WorkerPool implements AutoCloseable {

    /** Part of a divided job. */
    @FunctionalInterface
    interface Job {
        /** Does the items from inclusive to exclusive; worker is in [0, threads). */
        void run(int from, int to, int worker);
    }

    /** Turns of waiting before the processor is offered to others: a few tens of microseconds, longer than a gap between kernels. */
    private static final int SPINS = 2_000;

    private final Thread[] workers;
    private final int threads;

    private volatile Job job = (from, to, worker) -> {};
    private volatile int items;
    private volatile long generation;
    private volatile boolean closed;

    /** Generation each worker has finished; padded so that workers do not share a cache line. */
    private final AtomicLongArray done;

    /** 1 while a worker is parked or about to park. */
    private final AtomicIntegerArray parked;

    private volatile Throwable failure = new Throwable();
    private volatile boolean failed;

    WorkerPool(int threads) {
        this.threads = threads;
        done = new AtomicLongArray(16 * threads);
        parked = new AtomicIntegerArray(16 * threads);
        workers = new Thread[threads];
        for (int w = 1; w < threads; w++) {
            int worker = w;
            workers[w] = new Thread(() -> loop(worker), "freshet-kernel-" + w);
            workers[w].setDaemon(true);
            workers[w].start();
        }
    }

    int threads() {
        return threads;
    }

    /** Runs a job over items [0, count) and returns when all of it is done. */
    void run(int count, Job work) {
        if (threads == 1 || count == 1) {
            work.run(0, count, 0);
            return;
        }
        job = work;
        items = count;
        long current = generation + 1;
        generation = current;
        for (int w = 1; w < threads; w++) {
            if (parked.get(16 * w) == 1) {
                LockSupport.unpark(workers[w]);
            }
        }
        RuntimeException mine = null;
        try {
            part(work, count, 0);
        } catch (RuntimeException e) {
            mine = e;
        }
        for (int w = 1; w < threads; w++) {
            int spins = 0;
            while (done.get(16 * w) != current) {
                if (++spins < SPINS) {
                    Thread.onSpinWait();
                } else {
                    Thread.yield();
                }
            }
        }
        if (mine != null) {
            throw mine;
        }
        if (failed) {
            throw new IllegalStateException("A kernel failed on a worker thread", failure);
        }
    }

    private void part(Job work, int count, int worker) {
        int from = (int) ((long) count * worker / threads);
        int to = (int) ((long) count * (worker + 1) / threads);
        if (from < to) {
            work.run(from, to, worker);
        }
    }

    private void loop(int worker) {
        long seen = 0;
        while (true) {
            int spins = 0;
            while (generation == seen) {
                if (closed) {
                    return;
                }
                if (++spins < SPINS) {
                    Thread.onSpinWait();
                } else {
                    parked.set(16 * worker, 1);
                    if (generation == seen && !closed) {
                        LockSupport.park(this);
                    }
                    parked.set(16 * worker, 0);
                }
            }
            seen++;
            try {
                part(job, items, worker);
            } catch (RuntimeException | Error e) {
                failure = e;
                failed = true;
            } finally {
                done.set(16 * worker, seen);
            }
        }
    }

    @Override
    public void close() {
        closed = true;
        for (int w = 1; w < threads; w++) {
            LockSupport.unpark(workers[w]);
        }
    }
}
