package dev.freshet.operator;

import dev.freshet.engine.Engine;
import dev.freshet.engine.EngineConfig;
import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.StepResult;
import dev.freshet.request.ConfigError;
import dev.freshet.request.RequestError;
import dev.freshet.request.RequestValidator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiFunction;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.util.clock.Clock;
import org.jspecify.annotations.Nullable;

/**
 * One engine at work for a stream: takes records in, steps, and hands outcomes out. It knows no mailbox and no state backend; those
 * are the operator's. Confined to the task thread.
 */
final class Serving {

    /** Requests that may be let in beyond the queue so that checkpoints can begin. */
    private static final int RELIEF = 64;

    private final OperatorOptions options;
    private final ServedModel served;
    private final Clock clock;
    private final Outputs out;
    private final Engine engine;
    private final EngineMetrics metrics;
    private final Admission admission;
    private final Answers answers;
    private final Memory memory;
    private final Refusals refusals;
    private final Quarantine quarantine;
    private final @Nullable Turns turns;
    private final Flights flights = new Flights();
    private long lastBarrierNanos;
    private long intervalStartNanos;
    private @Nullable Long firstArrivalNanos;
    private long lastStepNanos;
    private int lastBusy;

    Serving(
            OperatorOptions options,
            ServedModel served,
            Memory memory,
            @Nullable BlackBox blackBox,
            MetricGroup group,
            Clock clock,
            Outputs out) {
        this.options = options;
        this.served = served;
        this.memory = memory;
        this.clock = clock;
        this.out = out;
        engine = new Engine(
                served.model(),
                new EngineConfig(
                        options.queue() + RELIEF,
                        options.prefillTokens(),
                        served.endTokens(),
                        clock::relativeTimeNanos));
        quarantine = new Quarantine(blackBox, engine);
        metrics = new EngineMetrics(engine, options.slots(), served.backend(), group);
        admission = new Admission(
                new RequestValidator(options.limits()),
                served,
                options.speculation(),
                options.modelNames(served.name()),
                options.conversations() != null && memory.sessions() != null,
                clock);
        turns = options.conversations() == null || memory.sessions() == null
                ? null
                : new Turns(options.conversations(), memory.sessions(), served, options.allowModelChange());
        answers = new Answers(served);
        refusals = new Refusals(memory.recent(), out, answers, metrics, clock);
        lastBarrierNanos = clock.relativeTimeNanos();
        intervalStartNanos = lastBarrierNanos;
    }

    /**
     * Puts the sequences of a checkpoint back into the engine.
     *
     * @throws ConfigError when another model generated them and the job does not allow that
     */
    void resume(InFlights restored) {
        restored.sequences().forEach(this::resume);
        for (List<InFlight> session : restored.turns().values()) {
            resumeTurns(session);
        }
        if (!restored.isEmpty()) {
            firstArrivalNanos = clock.relativeTimeNanos();
        }
    }

    private void resume(InFlight one) {
        InFlight usable = one.with(served.fingerprint(), options.allowModelChange());
        Flight flight = admission.resume(usable);
        if (quarantine.holds(usable.sequence().id())) {
            refusals.giveUp(flight, null);
            return;
        }
        flights.add(usable.sequence().id(), flight);
        restore(usable, flight, false);
    }

    private void resumeTurns(List<InFlight> session) {
        Turns conversations = conversations();
        for (InFlight one : session) {
            InFlight usable = one.with(served.fingerprint(), options.allowModelChange());
            Flight flight = admission.resume(usable);
            flights.add(usable.sequence().id(), flight);
            conversations.restore(new Admission.Admitted(usable.request(flight.text), flight));
        }
        Flight flight = flights.get(session.get(0).sequence().id());
        InFlight running = session.get(0).with(served.fingerprint(), options.allowModelChange());
        if (quarantine.holds(running.sequence().id())) {
            flights.remove(running.sequence().id());
            conversations.end(flight, Turns.withdrawn(running.sequence().id()));
            refusals.giveUp(flight, null);
            beginNext(flight.ticket);
        } else {
            restore(
                    running,
                    flight,
                    !Objects.requireNonNull(flight.ticket.session()).last());
        }
    }

    private void restore(InFlight usable, Flight flight, boolean kept) {
        int again = engine.restore(usable.sequence(), flight.text, kept);
        quarantine.admit(usable.sequence().id());
        metrics.resumed();
        metrics.recomputed(again);
    }

    private Turns conversations() {
        if (turns == null) {
            throw new ConfigError(
                    "Cannot restore the checkpoint: expected no turns of conversations in it, since this job"
                            + " keeps none, got some. Set conversations.enabled to true.");
        }
        return turns;
    }

    /**
     * Takes a record. What cannot run leaves at once as a record.
     *
     * @return the sequence to submit as soon as there is room, or null when there is none
     */
    Admission.@Nullable Admitted arrive(Inbound inbound) {
        if (inbound instanceof Inbound.Rejected rejected) {
            refusals.deadLetter(rejected.letter());
            return null;
        }
        if (inbound instanceof Inbound.Cancel cancel) {
            cancel(cancel.id());
            return null;
        }
        Inbound.Prompt prompt = (Inbound.Prompt) inbound;
        if (refusals.repeated(prompt)) {
            return null;
        }
        Admission.Result result = admission.admit(prompt.request(), prompt.origin());
        if (result instanceof Admission.Admitted admitted) {
            if (quarantine.holds(admitted.sequence().id())) {
                refusals.giveUp(admitted.flight(), prompt.value());
                return null;
            }
            if (!memory.cancelled().take(admitted.flight().ticket.id())) {
                return admitted;
            }
            result = Admission.Refused.of(
                    admitted.flight(),
                    Flights.cancelled(admitted.flight().ticket.id(), 0));
        }
        refusals.refuse((Admission.Refused) result, prompt.origin());
        return null;
    }

    /** Ends a request wherever it is: in a slot, in the queue, or, when it has not come yet, as soon as it comes. */
    private void cancel(String id) {
        List<String> found = flights.of(id);
        if (found.isEmpty() && !memory.recent().knows(id)) {
            memory.cancelled().add(id);
        }
        for (String sequence : found) {
            end(sequence, Flights::cancelled, clock.relativeTimeNanos());
        }
    }

    /** Ends a request early, unless it has just been answered because of another one's end. */
    private void end(String sequence, BiFunction<String, Integer, RequestError> why, long now) {
        Flight flight = flights.find(sequence);
        if (flight != null) {
            StepResult.Finished cancelled = engine.cancel(sequence);
            // A turn that waits for another one is not in the engine.
            StepResult.Finished ended = cancelled == null ? Turns.withdrawn(sequence) : cancelled;
            complete(ended, why.apply(flight.ticket.id(), ended.tokens().length), now);
        }
    }

    /**
     * Whether a sequence may be submitted. A record that waits for room keeps checkpoints from beginning, so that one for each
     * checkpoint interval is let in beyond the queue, up to a limit.
     */
    boolean hasRoom() {
        // A waiting turn gets the place in the engine's queue that it takes here.
        int waiting = engine.waiting() + (turns == null ? 0 : turns.waiting());
        if (waiting < options.queue()) {
            return true;
        }
        long now = clock.relativeTimeNanos();
        long interval = options.checkpointInterval().toNanos();
        if (interval > 0 && now - lastBarrierNanos > interval && waiting < options.queue() + RELIEF) {
            lastBarrierNanos = now;
            return true;
        }
        return false;
    }

    /** Gives a sequence to the engine; there must be room. A turn of a session in flight waits for the others. */
    void submit(Admission.Admitted admitted) {
        Flight flight = admitted.flight();
        String sequence = admitted.sequence().id();
        if (firstArrivalNanos == null) {
            firstArrivalNanos = flight.arrivedNanos;
        }
        if (flight.ticket.session() == null) {
            flights.add(sequence, flight);
            engine.submit(admitted.sequence());
            quarantine.admit(sequence);
            return;
        }
        Turns conversations = Objects.requireNonNull(turns);
        RequestError full = conversations.join(admitted);
        if (full != null) {
            refusals.refuse(Admission.Refused.of(flight, full), flight.ticket.origin());
            return;
        }
        flights.add(sequence, flight);
        if (conversations.first(flight.ticket.key()) == admitted) {
            beginNext(flight.ticket);
        }
    }

    /** Begins the first turn of a session that fits it; those before it are answered with what is wrong. */
    private void beginNext(Ticket ticket) {
        Turns conversations = Objects.requireNonNull(turns);
        Admission.Admitted next = conversations.first(ticket.key());
        while (next != null) {
            String sequence = next.sequence().id();
            Turns.Start start = conversations.start(next);
            if (start instanceof Turns.Ready ready) {
                next.flight().cachedTokens = engine.follow(ready.sequence(), ready.before());
                quarantine.admit(sequence);
                return;
            }
            Flight flight = flights.remove(sequence);
            conversations.end(flight, Turns.withdrawn(sequence));
            refusals.refuse(Admission.Refused.of(flight, ((Turns.Refused) start).error()), flight.ticket.origin());
            next = conversations.first(ticket.key());
        }
    }

    /** Whether nothing is in flight. */
    boolean isIdle() {
        return engine.isIdle();
    }

    /** Slots that neither a running nor a waiting sequence will take. */
    boolean hasFreeSlots() {
        return engine.running() + engine.waiting() < options.slots();
    }

    /** Slots that had a sequence in the last step. */
    int busy() {
        return lastBusy;
    }

    /** Runs one step of the engine and hands out what it brought. */
    void step() {
        handle(engine.step());
        expire();
    }

    private void handle(StepResult result) {
        long now = clock.relativeTimeNanos();
        lastStepNanos = now;
        lastBusy =
                Math.min(options.slots(), engine.running() + result.finished().size());
        metrics.stepped(result.stats(), lastBusy);
        for (String id : result.admitted()) {
            Flight flight = flights.get(id);
            if (flight.queuedMillis == Flight.NEVER) {
                flight.queuedMillis = flight.millisSinceArrival(now);
                metrics.admitted(flight.queuedMillis);
            }
        }
        Map<String, StepResult.Finished> finished = new HashMap<>();
        result.finished().forEach(f -> finished.put(f.id(), f));
        for (StepResult.Accepted accepted : result.accepted()) {
            Flight flight = flights.get(accepted.id());
            time(flight, accepted.tokens().length, now);
            if (!finished.containsKey(accepted.id())) {
                String text = flight.text.take();
                if (flight.ticket.stream()) {
                    out.chunk(answers.chunk(flight, accepted.tokens(), text, null));
                }
            }
        }
        for (StepResult.Finished f : result.finished()) {
            complete(f, null, now);
        }
    }

    private void time(Flight flight, int tokens, long now) {
        if (flight.firstTokenMillis == Flight.NEVER) {
            flight.firstTokenMillis = flight.millisSinceArrival(now);
            metrics.firstToken(flight.firstTokenMillis);
        } else {
            metrics.tokens((now - flight.lastTokenNanos) / 1e6 / tokens, tokens);
        }
        flight.lastTokenNanos = now;
    }

    private void complete(StepResult.Finished finished, @Nullable RequestError error, long now) {
        Flight flight = flights.remove(finished.id());
        quarantine.ended(finished.id());
        String taken = flight.ticket.stream() ? flight.text.take() : "";
        String text = flight.text.finish();
        if (flight.ticket.stream()) {
            int[] rest = Arrays.copyOfRange(
                    finished.tokens(),
                    Math.min(flight.emittedTokens, finished.tokens().length),
                    finished.tokens().length);
            out.chunk(answers.chunk(flight, rest, taken + flight.text.take(), finished));
        }
        RequestError reason = error == null ? finished.error() : error;
        metrics.finished(finished.reason(), flight.millisSinceArrival(now), reason == null ? null : reason.code());
        out.outcome(answers.completion(flight, finished, text, error, now));
        if (turns != null && flight.ticket.session() != null && turns.end(flight, finished)) {
            beginNext(flight.ticket);
        }
    }

    /** Ends the sequences whose deadline has passed, with what they have so far. */
    private void expire() {
        long now = clock.relativeTimeNanos();
        for (String sequence : flights.late(now)) {
            end(sequence, Flights::tooLate, now);
        }
    }

    /** Hands out the metrics of the interval at hand and begins the next. */
    void tick() {
        long now = clock.relativeTimeNanos();
        out.metric(metrics.interval(clock.absoluteTimeMillis(), (now - intervalStartNanos) / 1_000_000));
        intervalStartNanos = now;
    }

    /** Hands out the metrics of the whole run: its length is from the first arrival to the last step. */
    void summarize() {
        long active = firstArrivalNanos == null ? 0 : Math.max(0, lastStepNanos - firstArrivalNanos);
        out.metric(metrics.summary(clock.absoluteTimeMillis(), active / 1_000_000));
    }

    /** Returns what a checkpoint must hold; it stays as it is while the engine goes on. */
    InFlights snapshot() {
        lastBarrierNanos = clock.relativeTimeNanos();
        List<InFlight> sequences = new ArrayList<>();
        Map<String, List<InFlight>> sessions = new HashMap<>();
        long bytes = 0;
        for (SequenceSnapshot sequence : engine.snapshot(options.inFlight(), options.autoBytes())) {
            Flight flight = flights.get(sequence.id());
            InFlight one = InFlight.of(served.fingerprint(), flight, sequence);
            if (flight.ticket.session() == null) {
                sequences.add(one);
            } else {
                sessions.put(flight.ticket.key(), new ArrayList<>(List.of(one)));
            }
            bytes += 4L * (sequence.prompt().length + sequence.output().length);
            bytes += sequence.state() == null ? 0 : sequence.state().bytes();
        }
        for (Map.Entry<String, List<InFlight>> session : sessions.entrySet()) {
            for (Admission.Admitted turn : conversations().waiting(session.getKey())) {
                session.getValue().add(InFlight.of(served.fingerprint(), turn));
            }
        }
        metrics.checkpointed(bytes);
        return new InFlights(sequences, sessions);
    }
}
