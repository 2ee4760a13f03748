package dev.freshet.operator;

import dev.freshet.schema.DeadLetter;
import org.apache.flink.util.clock.Clock;
import org.jspecify.annotations.Nullable;

/** Requests that leave without having run: each becomes a record, but for repetitions. Confined to the task thread. */
final class Refusals {

    private final RecentIds recentIds;
    private final Outputs out;
    private final Answers answers;
    private final EngineMetrics metrics;
    private final Clock clock;

    Refusals(RecentIds recentIds, Outputs out, Answers answers, EngineMetrics metrics, Clock clock) {
        this.recentIds = recentIds;
        this.out = out;
        this.answers = answers;
        this.metrics = metrics;
        this.clock = clock;
    }

    /** Answers a request with what is wrong with it. */
    void refuse(Admission.Refused refused, Origin origin) {
        metrics.refused(refused.error().code());
        if (refused.stream()) {
            out.chunk(answers.refusalChunk(refused));
        }
        out.outcome(answers.refusal(refused, origin));
    }

    /** Puts a request aside that processes died with. */
    void giveUp(Flight flight, byte @Nullable [] value) {
        if (flight.ticket.stream()) {
            out.chunk(answers.refusalChunk(Admission.Refused.of(flight, Quarantine.error())));
        }
        deadLetter(Quarantine.letter(flight.ticket, value));
    }

    void deadLetter(DeadLetter letter) {
        metrics.deadLettered();
        out.outcome(new Outbound.DeadLettered(letter));
    }

    /** Whether the record is a known request sent again, which then has had its answer or will get it. */
    boolean repeated(Inbound.Prompt prompt) {
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
}
