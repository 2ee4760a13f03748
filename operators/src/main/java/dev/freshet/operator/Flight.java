package dev.freshet.operator;

import dev.freshet.request.SamplingParams;

/** A request in the engine, seen from outside: its text, its times and what has been emitted of it. Confined to the task thread. */
final class Flight {

    /** A time that has not come. */
    static final double NEVER = -1;

    /** The number of a turn is known as soon as it begins. */
    Ticket ticket;

    final SamplingParams params;
    /** A turn gets its text when it begins, since the text follows all of the conversation. */
    Texts.Growing text;

    /** Prompt of a turn that opens its session; of one that continues it, it differs from the prompt of the sequence. */
    final int[] opening;

    /** Monotonic time of arrival; before the start of this process for a restored request. */
    final long arrivedNanos;

    /** Monotonic time after which the answer is worthless. */
    final long deadlineNanos;

    double queuedMillis = NEVER;
    double firstTokenMillis = NEVER;
    long lastTokenNanos;
    long chunks;
    int emittedTokens;

    /** Tokens of the prompt that an earlier turn had computed. */
    int cachedTokens;

    Flight(
            Ticket ticket,
            SamplingParams params,
            Texts.Growing text,
            int[] opening,
            long arrivedNanos,
            long deadlineNanos) {
        this.ticket = ticket;
        this.params = params;
        this.text = text;
        this.opening = opening;
        this.arrivedNanos = arrivedNanos;
        this.deadlineNanos = deadlineNanos;
    }

    double millisSinceArrival(long nowNanos) {
        return (nowNanos - arrivedNanos) / 1e6;
    }
}
