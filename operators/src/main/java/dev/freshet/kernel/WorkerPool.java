package dev.freshet.kernel;

import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A fixed set of threads that divide index ranges. A range is cut into pieces by its length and the number of threads alone; which
 * thread takes which piece is left to them, so that a thread that the operating system has put aside delays at most the piece it
 * holds. Jobs divide over outputs, so who computes a piece cannot change a result. The caller is worker 0. Waiting threads spin
 * shortly, then park. {@link #run} allocates nothing and is confined to one thread at a time.
 */
final class WorkerPool implements AutoCloseable {

    /** Part of a divided job. */
    @FunctionalInterface
    interface Job {
        /** Does the items from inclusive to exclusive; worker is in [0, threads) and runs one part at a time. */
        void run(int from, int to, int worker);
    }

    /** Pieces for each thread: enough to even out the ends, few enough that a piece outweighs the taking of it. */
    private static final int PIECES = 4;

    /** Turns of waiting before the processor is offered to others: about 100 microseconds, longer than a gap between kernels. */
    private static final int SPINS = 5_000;

    /** Words of the shared array, two cache lines apart. */
    private static final int TICKET = 16;

    private static final int UNFINISHED = 32;

    private final Thread[] workers;
    private final int threads;

    private Job job = (from, to, worker) -> {};
    private int items;
    private int pieces;

    /**
     * TICKET: the number of the job in the upper half, the pieces not yet taken in the lower. Taking a piece is a compare-and-set of
     * the whole word, so a late thread can never take a piece of a job other than the one it saw; and while a taken piece is
     * unfinished the job's fields do not change. UNFINISHED: pieces not yet done.
     */
    private final AtomicLongArray shared = new AtomicLongArray(48);

    /** 1 while a worker is parked or about to park. */
    private final AtomicIntegerArray parked;

    private volatile @Nullable Throwable failure;
    private volatile boolean closed;

    WorkerPool(int threads) {
        this.threads = threads;
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
        int cut = Math.min(count, PIECES * threads);
        if (threads == 1 || cut <= 1) {
            work.run(0, count, 0);
            return;
        }
        job = work;
        items = count;
        pieces = cut;
        shared.set(UNFINISHED, cut);
        long number = (shared.get(TICKET) >>> 32) + 1;
        shared.set(TICKET, number << 32 | cut);
        for (int w = 1; w < threads; w++) {
            if (parked.get(16 * w) == 1) {
                LockSupport.unpark(workers[w]);
            }
        }
        take(0);
        int spins = 0;
        while (shared.get(UNFINISHED) != 0) {
            if (++spins < SPINS) {
                Thread.onSpinWait();
            } else {
                Thread.yield();
            }
        }
        Throwable thrown = failure;
        if (thrown != null) {
            failure = null;
            throw new IllegalStateException("A kernel failed on a worker thread", thrown);
        }
    }

    /** Takes and does pieces until none is left. */
    private void take(int worker) {
        while (true) {
            long ticket = shared.get(TICKET);
            int left = (int) ticket;
            if (left == 0) {
                return;
            }
            if (shared.compareAndSet(TICKET, ticket, ticket - 1)) {
                long piece = pieces - left;
                try {
                    job.run((int) (items * piece / pieces), (int) (items * (piece + 1) / pieces), worker);
                } catch (RuntimeException | Error e) {
                    failure = e;
                } finally {
                    shared.decrementAndGet(UNFINISHED);
                }
            }
        }
    }

    private void loop(int worker) {
        int spins = 0;
        while (!closed) {
            if ((int) shared.get(TICKET) != 0) {
                take(worker);
                spins = 0;
            } else if (++spins < SPINS) {
                Thread.onSpinWait();
            } else {
                parked.set(16 * worker, 1);
                if ((int) shared.get(TICKET) == 0 && !closed) {
                    LockSupport.park(this);
                }
                parked.set(16 * worker, 0);
                spins = 0;
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
