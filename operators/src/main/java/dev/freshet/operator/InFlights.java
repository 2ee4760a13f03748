package dev.freshet.operator;

import java.util.List;
import java.util.Map;

/**
 * What a checkpoint holds of requests in flight. Immutable.
 *
 * @param sequences those without a session
 * @param turns those of each session in order; the first one has begun, the others wait for it
 */
record InFlights(List<InFlight> sequences, Map<String, List<InFlight>> turns) {

    static final InFlights NONE = new InFlights(List.of(), Map.of());

    boolean isEmpty() {
        return sequences.isEmpty() && turns.isEmpty();
    }

    int size() {
        return sequences.size() + turns.values().stream().mapToInt(List::size).sum();
    }
}
