package dev.freshet.cuda;

import org.slf4j.LoggerFactory;

/** What happens when the device cannot be trusted: the process ends, and whoever supervises it starts another. */
@FunctionalInterface
public interface FaultHandler {

    /** Exit status after a kernel did not end in time. */
    int HUNG = 70;

    /** Exit status after a fatal error of the device. */
    int BROKEN = 71;

    /** Ends the process without running shutdown hooks, which could wait for the device. */
    FaultHandler HALT = (exitStatus, message) -> {
        LoggerFactory.getLogger(FaultHandler.class).error("{} The process ends with status {}.", message, exitStatus);
        Runtime.getRuntime().halt(exitStatus);
    };

    /** Handles a fault; may return in tests only. */
    void fault(int exitStatus, String message);
}
