package dev.freshet.operator;

import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.SequenceState;
import dev.freshet.engine.SequenceStats;
import java.util.List;

/**
 * An admitted request in a checkpoint: what it asked for and how far its text has come. Immutable.
 *
 * @param model fingerprint of the model that generated the tokens
 * @param ticket what the answer needs
 * @param sequence the request's tokens, prompt and output, and the model's state after them
 * @param chunks chunks emitted so far
 * @param queuedMillis time from arrival to admission, -1 before admission
 * @param firstTokenMillis time from arrival to the first token, -1 before it
 */
record InFlight(
        String model,
        Ticket ticket,
        SequenceSnapshot sequence,
        long chunks,
        double queuedMillis,
        double firstTokenMillis) {

    /** The same with the model's state. */
    InFlight withState(SequenceState state) {
        return new InFlight(model, ticket, sequence.withState(state), chunks, queuedMillis, firstTokenMillis);
    }

    /** The same request without anything that a model made of it. */
    InFlight begunAgain() {
        SequenceSnapshot s = sequence;
        SequenceSnapshot fresh = new SequenceSnapshot(
                s.id(),
                s.prompt(),
                new int[0],
                s.params(),
                s.speculation(),
                s.priority(),
                List.of(),
                new SequenceStats(s.prompt().length, 0, 0, 0, 0, s.stats().resumed(), 0),
                0,
                null);
        return new InFlight("", ticket, fresh, chunks, queuedMillis, Flight.NEVER);
    }
}
