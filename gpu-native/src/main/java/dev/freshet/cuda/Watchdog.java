package dev.freshet.cuda;

import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/** Calls the fault handler when one wait for the device takes too long. The waiting thread itself is inside the driver and cannot. */
final class Watchdog implements AutoCloseable {

    private static final long IDLE = Long.MAX_VALUE;

    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "cuda-watchdog");
        thread.setDaemon(true);
        return thread;
    });
    private final long limitNanos;
    private final FaultHandler handler;
    private final ScheduledFuture<?> looking;
    private volatile long since = IDLE;

    Watchdog(long limitMillis, FaultHandler handler) {
        limitNanos = TimeUnit.MILLISECONDS.toNanos(limitMillis);
        this.handler = handler;
        long period = Math.max(10, limitMillis / 10);
        looking = timer.scheduleAtFixedRate(this::look, period, period, TimeUnit.MILLISECONDS);
    }

    /** Marks the start of a call that may not return. */
    void enter() {
        since = System.nanoTime();
    }

    /** Marks its end. */
    void leave() {
        since = IDLE;
    }

    private void look() {
        long start = since;
        if (start != IDLE && System.nanoTime() - start > limitNanos) {
            since = IDLE;
            handler.fault(
                    FaultHandler.HUNG,
                    "Cannot go on: expected the device to finish within " + TimeUnit.NANOSECONDS.toMillis(limitNanos)
                            + " ms, got no answer. A kernel hangs or the device is lost; look into dmesg for Xid lines.");
        }
    }

    @Override
    public void close() {
        looking.cancel(false);
        timer.shutdownNow();
    }
}
