package dev.freshet.operator;

import dev.freshet.engine.Continuation;
import dev.freshet.engine.FinishReason;
import dev.freshet.engine.GenerationRequest;
import dev.freshet.engine.SequenceStats;
import dev.freshet.engine.StepResult;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import dev.freshet.request.SessionTurn;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Turns of conversations: of each session one runs, the others wait in order of arrival. A turn goes on from where the one before
 * ended; one that is cancelled, late or wrong leaves its session as it was. Confined to the task thread.
 */
final class Turns {

    private final ConversationOptions options;
    private final SessionStore store;
    private final ServedModel served;
    private final boolean allowModelChange;

    /** The turns of each session in flight; the first one runs. */
    private final Map<String, Deque<Admission.Admitted>> sessions = new HashMap<>();

    private int waiting;

    /** What became of a turn that begins. */
    sealed interface Start permits Ready, Refused {}

    /**
     * The turn can run.
     *
     * @param sequence its prompt is the whole conversation
     * @param before what it goes on from
     */
    record Ready(GenerationRequest sequence, Continuation before) implements Start {}

    /** The turn does not fit its session. */
    record Refused(RequestError error) implements Start {}

    /**
     * Creates the turns of a subtask.
     *
     * @param allowModelChange whether a session of another model goes on, from its tokens
     */
    Turns(ConversationOptions options, SessionStore store, ServedModel served, boolean allowModelChange) {
        this.options = options;
        this.store = store;
        this.served = served;
        this.allowModelChange = allowModelChange;
    }

    /** Turns that wait for another one of their session. */
    int waiting() {
        return waiting;
    }

    /** Takes a turn into its session; returns why not, or null. */
    @Nullable
    RequestError join(Admission.Admitted turn) {
        Ticket ticket = turn.flight().ticket;
        Deque<Admission.Admitted> session =
                sessions.computeIfAbsent(session(ticket).id(), id -> new ArrayDeque<>());
        if (session.size() > options.waiting()) {
            return error(
                    ErrorCode.OVERLOADED,
                    ticket,
                    "at most " + options.waiting() + " turns of a session to wait",
                    "one more",
                    "Send a turn when the one before has been answered.");
        }
        restore(turn);
        return null;
    }

    /** Takes a turn of a checkpoint into its session, behind those before it. */
    void restore(Admission.Admitted turn) {
        Deque<Admission.Admitted> session =
                sessions.computeIfAbsent(session(turn.flight().ticket).id(), id -> new ArrayDeque<>());
        waiting += session.isEmpty() ? 0 : 1;
        session.add(turn);
    }

    /** The turn of a session that runs, or should. */
    Admission.@Nullable Admitted first(String session) {
        Deque<Admission.Admitted> turns = sessions.get(session);
        return turns == null ? null : turns.peek();
    }

    /** The turns of a session that wait, in order. */
    List<Admission.Admitted> waiting(String session) {
        List<Admission.Admitted> turns = new ArrayList<>(Objects.requireNonNull(sessions.get(session)));
        return turns.subList(1, turns.size());
    }

    /** Puts a turn at the end of its session as kept. */
    Start start(Admission.Admitted turn) {
        Flight flight = turn.flight();
        SessionTurn place = session(flight.ticket);
        Conversation kept = store.get(place.id());
        RequestError error = obstacle(turn, kept);
        if (error != null) {
            return new Refused(error);
        }
        int[] prompt = flight.opening;
        Continuation before = Continuation.NOTHING;
        if (kept != null) {
            before = kept.model().equals(served.fingerprint())
                    ? kept.end()
                    : kept.end().withoutState();
            prompt = joined(before.ids(), turn.sequence().prompt());
        }
        int number = kept == null ? 1 : kept.turns() + 1;
        flight.ticket = flight.ticket.in(new SessionTurn(place.id(), number, place.last()));
        flight.text = served.texts().begin(flight.params, prompt);
        GenerationRequest own = turn.sequence();
        GenerationRequest whole = new GenerationRequest(
                own.id(), prompt, own.params(), flight.text, own.speculation(), own.priority(), !place.last());
        return new Ready(whole, before);
    }

    private @Nullable RequestError obstacle(Admission.Admitted turn, @Nullable Conversation kept) {
        Ticket ticket = turn.flight().ticket;
        if (kept == Conversation.UNREADABLE) {
            store.remove(session(ticket).id());
            return conflict(ticket, "the kept tokens of its session to be whole", "damaged ones");
        }
        if (kept != null && !kept.model().equals(served.fingerprint()) && !allowModelChange) {
            return conflict(ticket, "a session of the model that runs", "one of another model");
        }
        int next = kept == null ? 1 : kept.turns() + 1;
        int number = session(ticket).number();
        if (number != 0 && number != next) {
            return conflict(ticket, "turn " + next + " of its session", "turn " + number);
        }
        if (kept == null) {
            return null;
        }
        int vocabulary = served.model().vocabSize();
        if (!kept.model().equals(served.fingerprint())
                && Arrays.stream(kept.end().ids()).anyMatch(id -> id >= vocabulary)) {
            return conflict(ticket, "a session of tokens that the model has", "others");
        }
        long length = (long) kept.end().ids().length + turn.sequence().prompt().length;
        // One position is left for the first generated token.
        int most = Math.min(options.tokens(), served.model().contextLength() - 1);
        return length <= most
                ? null
                : error(
                        ErrorCode.PROMPT_TOO_LONG,
                        ticket,
                        "a conversation of at most " + most + " tokens",
                        Long.toString(length),
                        "Open another session with what matters of this one.");
    }

    private static RequestError conflict(Ticket ticket, String expected, String got) {
        return error(
                ErrorCode.SESSION_CONFLICT,
                ticket,
                expected,
                got,
                "Open another session and send the conversation so far in its first turn.");
    }

    private static RequestError error(ErrorCode code, Ticket ticket, String expected, String got, String cure) {
        return new RequestError(
                code,
                "session_id",
                "Cannot serve request " + ticket.id() + ": expected " + expected + ", got " + got + ". " + cure);
    }

    /**
     * Takes a turn that ended out of its session, and keeps where it ended if it came to its end.
     *
     * @return whether the session's next turn is to begin, if there is one
     */
    boolean end(Flight flight, StepResult.Finished finished) {
        SessionTurn place = session(flight.ticket);
        Deque<Admission.Admitted> session = Objects.requireNonNull(sessions.get(place.id()));
        boolean ran = Objects.requireNonNull(session.peek()).flight() == flight;
        session.removeIf(turn -> turn.flight() == flight);
        if (session.isEmpty()) {
            sessions.remove(place.id());
        } else {
            waiting--;
        }
        Continuation kept = finished.kept();
        boolean whole = finished.reason() == FinishReason.STOP || finished.reason() == FinishReason.LENGTH;
        if (whole && place.last()) {
            store.remove(place.id());
        } else if (whole && kept != null) {
            store.put(place.id(), new Conversation(served.fingerprint(), place.number(), kept));
        }
        return ran;
    }

    /** The end of a turn that has not begun; it still has to be taken out of its session. */
    static StepResult.Finished withdrawn(String sequence) {
        return new StepResult.Finished(
                sequence,
                FinishReason.ABORT,
                null,
                null,
                new int[0],
                List.of(),
                new SequenceStats(0, 0, 0, 0, 0, 0, 0),
                null);
    }

    private static SessionTurn session(Ticket ticket) {
        return Objects.requireNonNull(ticket.session());
    }

    private static int[] joined(int[] before, int[] own) {
        int[] all = Arrays.copyOf(before, before.length + own.length);
        System.arraycopy(own, 0, all, before.length, own.length);
        return all;
    }
}
