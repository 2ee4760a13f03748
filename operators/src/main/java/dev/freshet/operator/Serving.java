package dev.freshet.operator;

import dev.freshet.engine.Engine;
import dev.freshet.engine.EngineConfig;
import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.StepResult;
import dev.freshet.request.ConfigError;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import dev.freshet.request.RequestValidator;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Metric;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
    private final RecentIds recentIds;
    private final CancelledIds cancelled;
    private final Quarantine quarantine;
    private final Map<String, Flight> flights = new HashMap<>();
    private long lastBarrierNanos;
    private long nextDeadlineNanos = Long.MAX_VALUE;
    private long intervalStartNanos;
    private @Nullable Long firstArrivalNanos;
    private long lastStepNanos;
    private int lastBusy;

    /** Where records go. */
    interface Outputs {
        void outcome(Outbound outcome);

        void chunk(KeyedChunk chunk);

        void metric(Metric metric);
    }

    Serving(
            OperatorOptions options,
            ServedModel served,
            RecentIds recentIds,
            CancelledIds cancelled,
            @Nullable BlackBox blackBox,
            MetricGroup group,
            Clock clock,
            Outputs out) {
        this.options = options;
        this.served = served;
        this.recentIds = recentIds;
        this.cancelled = cancelled;
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
                clock);
        answers = new Answers(served);
        lastBarrierNanos = clock.relativeTimeNanos();
        intervalStartNanos = lastBarrierNanos;
    }

    /**
     * Puts the sequences of a checkpoint back into the engine.
     *
     * @throws ConfigError when another model generated them and the job does not allow that
     */
    void resume(List<InFlight> restored) {
        for (InFlight one : restored) {
            boolean sameModel = one.model().isEmpty() || one.model().equals(served.fingerprint());
            if (!sameModel && !options.allowModelChange()) {
                throw new ConfigError(
                        "Cannot restore the checkpoint: expected sequences of the model " + served.fingerprint()
                                + ", got some of " + one.model()
                                + ". Start with that model, or allow the change and let them begin again.");
            }
            InFlight usable = sameModel ? one : one.begunAgain();
            Flight flight = admission.resume(usable);
            if (quarantine.holds(usable.sequence().id())) {
                giveUp(flight, null);
                continue;
            }
            flights.put(usable.sequence().id(), flight);
            int again = engine.restore(usable.sequence(), flight.text);
            quarantine.admit(usable.sequence().id());
            nextDeadlineNanos = Math.min(nextDeadlineNanos, flight.deadlineNanos);
            metrics.resumed();
            metrics.recomputed(again);
        }
        if (!restored.isEmpty()) {
            firstArrivalNanos = clock.relativeTimeNanos();
        }
    }

    /**
     * Takes a record. What cannot run leaves at once as a record.
     *
     * @return the sequence to submit as soon as there is room, or null when there is none
     */
    Admission.@Nullable Admitted arrive(Inbound inbound) {
        if (inbound instanceof Inbound.Rejected rejected) {
            deadLetter(rejected.letter());
            return null;
        }
        if (inbound instanceof Inbound.Cancel cancel) {
            cancel(cancel.id());
            return null;
        }
        Inbound.Prompt prompt = (Inbound.Prompt) inbound;
        if (repeated(prompt)) {
            return null;
        }
        Admission.Result result = admission.admit(prompt.request(), prompt.origin());
        if (result instanceof Admission.Admitted admitted) {
            if (quarantine.holds(admitted.sequence().id())) {
                giveUp(admitted.flight(), prompt.value());
                return null;
            }
            if (!cancelled.take(admitted.flight().ticket.id())) {
                return admitted;
            }
            result = Admission.Refused.of(
                    admitted.flight(), cancellation(admitted.flight().ticket.id(), 0));
        }
        refuse((Admission.Refused) result, prompt.origin());
        return null;
    }

    private void giveUp(Flight flight, byte @Nullable [] value) {
        if (flight.ticket.stream()) {
            out.chunk(answers.refusalChunk(Admission.Refused.of(flight, Quarantine.error())));
        }
        deadLetter(Quarantine.letter(flight.ticket, value));
    }

    private void refuse(Admission.Refused refused, Origin origin) {
        metrics.refused(refused.error().code());
        if (refused.stream()) {
            out.chunk(answers.refusalChunk(refused));
        }
        out.outcome(answers.refusal(refused, origin));
    }

    /** Ends a request wherever it is: in a slot, in the queue, or, when it has not come yet, as soon as it comes. */
    private void cancel(String id) {
        List<String> found = new ArrayList<>();
        flights.forEach((position, flight) -> {
            if (flight.ticket.id().equals(id)) {
                found.add(position);
            }
        });
        if (found.isEmpty() && !recentIds.knows(id)) {
            cancelled.add(id);
        }
        for (String position : found) {
            StepResult.Finished ended = engine.cancel(position);
            if (ended != null) {
                complete(ended, cancellation(id, ended.tokens().length), clock.relativeTimeNanos());
            }
        }
    }

    private static RequestError cancellation(String id, int tokens) {
        return new RequestError(
                ErrorCode.CANCELLED,
                null,
                "Cannot finish request " + id + ": expected its end, got a cancellation after " + tokens
                        + " tokens. Send it again under another id if the text is wanted after all.");
    }

    /** Whether the record is a known request sent again, which then has had its answer or will get it. */
    private boolean repeated(Inbound.Prompt prompt) {
        String id = prompt.request().getId();
        if (id == null || id.isBlank()) {
            id = prompt.origin().fallbackId();
            if (id.equals(prompt.origin().position())) {
                return false;
            }
        }
        switch (recentIds.see(id, prompt.value())) {
            case NEW:
                return false;
            case REPEATED:
                metrics.duplicate();
                return true;
            default:
                deadLetter(DeadLetters.conflict(prompt, id, clock.absoluteTimeMillis()));
                return true;
        }
    }

    private void deadLetter(DeadLetter letter) {
        metrics.deadLettered();
        out.outcome(new Outbound.DeadLettered(letter));
    }

    /**
     * Whether a sequence may be submitted. A record that waits for room keeps checkpoints from beginning, so that one for each
     * checkpoint interval is let in beyond the queue, up to a limit.
     */
    boolean hasRoom() {
        if (engine.waiting() < options.queue()) {
            return true;
        }
        long now = clock.relativeTimeNanos();
        long interval = options.checkpointInterval().toNanos();
        if (interval > 0 && now - lastBarrierNanos > interval && engine.hasRoom()) {
            lastBarrierNanos = now;
            return true;
        }
        return false;
    }

    /** Gives a sequence to the engine; there must be room. */
    void submit(Admission.Admitted admitted) {
        Flight flight = admitted.flight();
        if (firstArrivalNanos == null) {
            firstArrivalNanos = flight.arrivedNanos;
        }
        flights.put(admitted.sequence().id(), flight);
        nextDeadlineNanos = Math.min(nextDeadlineNanos, flight.deadlineNanos);
        engine.submit(admitted.sequence());
        quarantine.admit(admitted.sequence().id());
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
            Flight flight = flight(id);
            if (flight.queuedMillis == Flight.NEVER) {
                flight.queuedMillis = flight.millisSinceArrival(now);
                metrics.admitted(flight.queuedMillis);
            }
        }
        Map<String, StepResult.Finished> finished = new HashMap<>();
        result.finished().forEach(f -> finished.put(f.id(), f));
        for (StepResult.Accepted accepted : result.accepted()) {
            Flight flight = flight(accepted.id());
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
        Flight flight = Objects.requireNonNull(flights.remove(finished.id()));
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
    }

    private Flight flight(String id) {
        return Objects.requireNonNull(flights.get(id));
    }

    /** Ends the sequences whose deadline has passed, with what they have so far. */
    private void expire() {
        long now = clock.relativeTimeNanos();
        if (now < nextDeadlineNanos) {
            return;
        }
        List<String> late = new ArrayList<>();
        long next = Long.MAX_VALUE;
        for (Map.Entry<String, Flight> entry : flights.entrySet()) {
            if (entry.getValue().deadlineNanos <= now) {
                late.add(entry.getKey());
            } else {
                next = Math.min(next, entry.getValue().deadlineNanos);
            }
        }
        nextDeadlineNanos = next;
        for (String id : late) {
            StepResult.Finished cancelled = engine.cancel(id);
            if (cancelled != null) {
                RequestError error = new RequestError(
                        ErrorCode.DEADLINE_EXCEEDED,
                        "deadline_ms",
                        "Cannot finish request " + flight(id).ticket.id()
                                + ": expected the end before its deadline, got " + cancelled.tokens().length
                                + " tokens so far. Allow more time, or ask for fewer tokens.");
                complete(cancelled, error, now);
            }
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
    List<InFlight> snapshot() {
        lastBarrierNanos = clock.relativeTimeNanos();
        List<InFlight> all = new ArrayList<>();
        long bytes = 0;
        for (SequenceSnapshot sequence : engine.snapshot(options.inFlight(), options.autoBytes())) {
            Flight flight = flight(sequence.id());
            all.add(new InFlight(
                    served.fingerprint(),
                    flight.ticket,
                    sequence,
                    flight.chunks,
                    flight.queuedMillis,
                    flight.firstTokenMillis));
            bytes += 4L * (sequence.prompt().length + sequence.output().length);
            bytes += sequence.state() == null ? 0 : sequence.state().bytes();
        }
        metrics.checkpointed(bytes);
        return all;
    }
}
