package dev.freshet.operator;

import dev.freshet.engine.GenerationRequest;
import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.SequenceState;
import dev.freshet.engine.SequenceStats;
import dev.freshet.engine.StopCondition;
import dev.freshet.request.ConfigError;
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
 * @param cachedTokens tokens of the prompt that an earlier turn of its session had computed
 * @param opening prompt of a waiting turn in case it opens its session, else empty
 */
record InFlight(
        String model,
        Ticket ticket,
        SequenceSnapshot sequence,
        long chunks,
        double queuedMillis,
        double firstTokenMillis,
        int cachedTokens,
        int[] opening) {

    private static final int[] NONE = {};

    /** A request whose sequence is in the engine. */
    static InFlight of(String model, Flight flight, SequenceSnapshot sequence) {
        return new InFlight(
                model,
                flight.ticket,
                sequence,
                flight.chunks,
                flight.queuedMillis,
                flight.firstTokenMillis,
                flight.cachedTokens,
                NONE);
    }

    /** A turn that waits for another one of its session. */
    static InFlight of(String model, Admission.Admitted turn) {
        GenerationRequest s = turn.sequence();
        SequenceSnapshot untouched = new SequenceSnapshot(
                s.id(),
                s.prompt(),
                NONE,
                s.params(),
                s.speculation(),
                s.priority(),
                List.of(),
                new SequenceStats(s.prompt().length, 0, 0, 0, 0, 0, 0),
                0,
                null);
        Flight f = turn.flight();
        return new InFlight(
                model, f.ticket, untouched, f.chunks, f.queuedMillis, f.firstTokenMillis, f.cachedTokens, f.opening);
    }

    /**
     * What can be used of the record with a model: all of it, or the request alone.
     *
     * @param fingerprint the model that goes on
     * @throws ConfigError when it is another one and the change is not allowed
     */
    InFlight with(String fingerprint, boolean allowModelChange) {
        boolean same = model.isEmpty() || model.equals(fingerprint);
        if (!same && !allowModelChange) {
            throw new ConfigError(
                    "Cannot restore the checkpoint: expected sequences of the model " + fingerprint + ", got some of "
                            + model + ". Start with that model, or allow the change and let them begin again.");
        }
        return same ? this : begunAgain();
    }

    /** What is asked of the engine. */
    GenerationRequest request(StopCondition stop) {
        return new GenerationRequest(
                sequence.id(), sequence.prompt(), sequence.params(), stop, sequence.speculation(), sequence.priority());
    }

    /** The same with the model's state. */
    InFlight withState(SequenceState state) {
        return new InFlight(
                model,
                ticket,
                sequence.withState(state),
                chunks,
                queuedMillis,
                firstTokenMillis,
                cachedTokens,
                opening);
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
        return new InFlight("", ticket, fresh, chunks, queuedMillis, Flight.NEVER, 0, opening);
    }
}
