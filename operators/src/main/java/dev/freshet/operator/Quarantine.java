package dev.freshet.operator;

import dev.freshet.engine.Engine;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import dev.freshet.schema.DeadLetter;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What is done with sequences that processes died with: first they run alone, then no more. Confined to the task thread. */
final class Quarantine {

    private static final Logger LOG = LoggerFactory.getLogger(Quarantine.class);
    private static final String MESSAGE = "Cannot serve the request: expected the process to live on, got "
            + Suspects.CONVICTED
            + " that died while they ran the same tokens of it, the last with no other request beside it."
            + " Do not send it again unchanged.";

    private final @Nullable BlackBox blackBox;
    private final Engine engine;

    Quarantine(@Nullable BlackBox blackBox, Engine engine) {
        this.blackBox = blackBox;
        this.engine = engine;
        if (blackBox != null) {
            engine.observe(blackBox);
        }
    }

    /** Whether a sequence must not run again. */
    boolean holds(String sequence) {
        Suspects.Suspect suspect = blackBox == null ? null : blackBox.suspect(sequence);
        return suspect != null && suspect.deaths() >= Suspects.CONVICTED;
    }

    /** Has a suspect of the engine pass the place where processes died on its own. */
    void admit(String sequence) {
        Suspects.Suspect suspect = blackBox == null ? null : blackBox.suspect(sequence);
        if (suspect != null && suspect.deaths() >= Suspects.ISOLATED) {
            LOG.warn(
                    "Sequence {} runs alone up to token {}: {} processes died while running it",
                    sequence,
                    suspect.to(),
                    suspect.deaths());
            engine.isolate(sequence, suspect.to());
        }
    }

    void ended(String sequence) {
        if (blackBox != null) {
            blackBox.ended(sequence);
        }
    }

    /**
     * The dead letter of a sequence that is held.
     *
     * @param value bytes of the record, or null for a restored one, which is known by its place in the input
     */
    static DeadLetter letter(Ticket ticket, byte @Nullable [] value) {
        DeadLetters.Reason reason = new DeadLetters.Reason(
                "generate", ErrorCode.POISON_CRASH.name(), null, MESSAGE, false, ticket.id(), null, null);
        return DeadLetters.of(ticket.origin(), value, reason, ticket.arrivedMillis());
    }

    static RequestError error() {
        return new RequestError(ErrorCode.POISON_CRASH, null, MESSAGE);
    }
}
