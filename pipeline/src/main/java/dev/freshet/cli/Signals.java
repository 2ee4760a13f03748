package dev.freshet.cli;

import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import sun.misc.Signal;

/**
 * Turns the first interrupt (Ctrl-C) or termination signal into an interrupt of the thread that works, so that it ends in order,
 * broker and cluster included. The second one ends the process at once. A shutdown hook would do too late: the hooks of Flink and of
 * the log run beside it and take away what an orderly end needs. Thread-safe.
 */
final class Signals {

    private static final int SIGNAL_STATUS = 128;
    private static final String[] NAMES = {"INT", "TERM"};

    private final AtomicReference<@Nullable Signal> first = new AtomicReference<>();

    private Signals() {}

    /** Begins to watch for signals on behalf of the calling thread. */
    static Signals interruptThisThread() {
        Signals signals = new Signals();
        Thread worker = Thread.currentThread();
        for (String name : NAMES) {
            try {
                Signal.handle(new Signal(name), signal -> signals.raise(signal, worker));
            } catch (IllegalArgumentException e) {
                // The JVM was told to leave signals alone (-Xrs), and then they end the process.
                continue;
            }
        }
        return signals;
    }

    private void raise(Signal signal, Thread worker) {
        if (first.compareAndSet(null, signal)) {
            worker.interrupt();
        } else {
            Runtime.getRuntime().halt(SIGNAL_STATUS + signal.getNumber());
        }
    }

    /** Whether a signal has come. */
    boolean raised() {
        return first.get() != null;
    }

    /** The exit status that shells expect after the signal, or 0 without one. */
    int status() {
        Signal signal = first.get();
        return signal == null ? 0 : SIGNAL_STATUS + signal.getNumber();
    }
}
