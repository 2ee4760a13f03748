package dev.freshet.operator;

import dev.freshet.request.SamplingParams;

/** A request in the engine, seen from outside: its text, its times and what has been emitted of it. Confined to the task thread. */
final class Flight {

    /** A time that has not come. */
    static final double NEVER = -1;

    final Ticket ticket;
    final SamplingParams params;
    final Texts.Growing text;

    /** Monotonic time of arrival; before the start of this process for a restored request. */
    final long arrivedNanos;

    /** Monotonic time after which the answer is worthless. */
    final long deadlineNanos;

    double queuedMillis = NEVER;
    double firstTokenMillis = NEVER;
    long lastTokenNanos;
    long chunks;
    int emittedTokens;

    Flight(Ticket ticket, SamplingParams params, Texts.Growing text, long arrivedNanos, long deadlineNanos) {
        this.ticket = ticket;
        this.params = params;
        this.text = text;
        this.arrivedNanos = arrivedNanos;
        this.deadlineNanos = deadlineNanos;
    }

    double millisSinceArrival(long nowNanos) {
        return (nowNanos - arrivedNanos) / 1e6;
    }
}
