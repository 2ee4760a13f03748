package dev.freshet.operator;

import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The requests of a subtask that have no outcome yet, by the ids of their sequences. Confined to the task thread. */
final class Flights {

    private final Map<String, Flight> flights = new HashMap<>();
    private long nextDeadlineNanos = Long.MAX_VALUE;

    void add(String sequence, Flight flight) {
        flights.put(sequence, flight);
        nextDeadlineNanos = Math.min(nextDeadlineNanos, flight.deadlineNanos);
    }

    Flight get(String sequence) {
        return Objects.requireNonNull(flights.get(sequence));
    }

    @Nullable
    Flight find(String sequence) {
        return flights.get(sequence);
    }

    Flight remove(String sequence) {
        return Objects.requireNonNull(flights.remove(sequence));
    }

    /** Sequences of a request id; several where a producer used it twice and ids are not remembered. */
    List<String> of(String id) {
        List<String> found = new ArrayList<>();
        flights.forEach((sequence, flight) -> {
            if (flight.ticket.id().equals(id)) {
                found.add(sequence);
            }
        });
        return found;
    }

    /** Sequences whose deadline has passed; each is returned once. */
    List<String> late(long nowNanos) {
        if (nowNanos < nextDeadlineNanos) {
            return List.of();
        }
        List<String> late = new ArrayList<>();
        long next = Long.MAX_VALUE;
        for (Map.Entry<String, Flight> entry : flights.entrySet()) {
            if (entry.getValue().deadlineNanos <= nowNanos) {
                late.add(entry.getKey());
            } else {
                next = Math.min(next, entry.getValue().deadlineNanos);
            }
        }
        nextDeadlineNanos = next;
        return late;
    }

    /** The error of a request whose deadline has passed. */
    static RequestError tooLate(String id, int tokens) {
        return new RequestError(
                ErrorCode.DEADLINE_EXCEEDED,
                "deadline_ms",
                "Cannot finish request " + id + ": expected the end before its deadline, got " + tokens
                        + " tokens so far. Allow more time, or ask for fewer tokens.");
    }

    /** The error of a request that was cancelled. */
    static RequestError cancelled(String id, int tokens) {
        return new RequestError(
                ErrorCode.CANCELLED,
                null,
                "Cannot finish request " + id + ": expected its end, got a cancellation after " + tokens
                        + " tokens. Send it again under another id if the text is wanted after all.");
    }
}
