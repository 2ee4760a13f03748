package dev.freshet.operator;

import dev.freshet.engine.GenerationRequest;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.PromptRequest;
import dev.freshet.request.RequestError;
import dev.freshet.request.RequestValidator;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SessionTurn;
import dev.freshet.request.SpeculationMode;
import dev.freshet.request.Validated;
import dev.freshet.schema.Prompt;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.flink.util.clock.Clock;
import org.jspecify.annotations.Nullable;

/**
 * Turns records into sequences: validates, renders, tokenizes. Anything wrong with a request ends here, as a value. Confined to
 * the task thread.
 */
final class Admission {

    private static final double NANOS_PER_MILLI = 1e6;
    private static final int[] NONE = {};

    private final RequestValidator validator;
    private final ServedModel served;
    private final SpeculationMode speculation;
    private final Set<String> modelNames;
    private final boolean conversations;
    private final Clock clock;

    /** What became of a request. */
    sealed interface Result permits Admitted, Refused {}

    /** The request can run. */
    record Admitted(GenerationRequest sequence, Flight flight) implements Result {}

    /** The request cannot be served. */
    record Refused(String id, String key, boolean chat, boolean stream, long arrivedMillis, RequestError error)
            implements Result {

        /** The refusal of a request that could have run. */
        static Refused of(Flight flight, RequestError error) {
            Ticket t = flight.ticket;
            return new Refused(t.id(), t.key(), t.chat(), t.stream(), t.arrivedMillis(), error);
        }
    }

    /**
     * Creates an admission.
     *
     * @param modelNames names of the model that requests may use; the name {@code *} stands for all
     * @param conversations whether requests may belong to a session
     */
    Admission(
            RequestValidator validator,
            ServedModel served,
            SpeculationMode speculation,
            Set<String> modelNames,
            boolean conversations,
            Clock clock) {
        this.validator = validator;
        this.served = served;
        this.speculation = speculation;
        this.modelNames = modelNames;
        this.conversations = conversations;
        this.clock = clock;
    }

    Result admit(Prompt record, Origin origin) {
        long arrivedMillis = clock.absoluteTimeMillis();
        long arrivedNanos = clock.relativeTimeNanos();
        Validated validated = validator.validate(record, origin.fallbackId(), arrivedMillis);
        if (validated instanceof Validated.Invalid invalid) {
            return new Refused(
                    invalid.id(),
                    invalid.id(),
                    record.getMessages() != null,
                    record.getStream(),
                    arrivedMillis,
                    invalid.error());
        }
        PromptRequest request = ((Validated.Accepted) validated).request();
        SessionTurn session = request.session();
        String key = session == null ? request.id() : session.id();
        RequestError error = obstacle(request);
        int[] tokens = {};
        int[] opening = {};
        SamplingParams params = request.params();
        if (error == null) {
            Texts.Encoded encoded = encode(request, false);
            // Whether a turn opens its session is not known before the turns ahead of it have ended.
            Texts.Encoded next = session == null || encoded instanceof Texts.Refused ? encoded : encode(request, true);
            if (next instanceof Texts.Refused refused) {
                error = refused.error();
            } else {
                tokens = ((Texts.Tokens) next).ids();
                opening = ((Texts.Tokens) encoded).ids();
                params = ending(params, ((Texts.Tokens) encoded).endTokens());
                error = validator.checkLength(
                        request.id(),
                        Math.max(tokens.length, opening.length),
                        served.model().contextLength());
                error = error == null && opening.length == 0 ? empty(request) : error;
            }
        }
        if (error != null) {
            return new Refused(request.id(), key, request.chat(), request.stream(), arrivedMillis, error);
        }
        Ticket ticket = new Ticket(
                origin,
                request.id(),
                key,
                request.chat(),
                request.stream(),
                request.returnTokenIds(),
                echo(request, tokens),
                arrivedMillis,
                request.deadlineMillis(),
                session);
        Flight flight = begin(ticket, params, tokens, session == null ? NONE : opening, arrivedNanos);
        SpeculationMode mode = request.speculation() == null ? speculation : request.speculation();
        GenerationRequest sequence =
                new GenerationRequest(origin.position(), tokens, params, flight.text, mode, request.priority());
        return new Admitted(sequence, flight);
    }

    private static RequestError empty(PromptRequest request) {
        return new RequestError(
                ErrorCode.EMPTY_PROMPT,
                request.chat() ? "messages" : "prompt",
                "Cannot serve request " + request.id() + ": expected a prompt of at least one token, got none. Send"
                        + " something to continue.");
    }

    private @Nullable RequestError obstacle(PromptRequest request) {
        String model = request.model();
        if (model != null && !modelNames.contains(model) && !modelNames.contains("*")) {
            return new RequestError(
                    ErrorCode.UNKNOWN_MODEL,
                    "model",
                    "Cannot serve request " + request.id() + ": expected the model " + served.name()
                            + ", got another. Correct the model, or leave it out.");
        }
        if (request.session() != null && !conversations) {
            return new RequestError(
                    ErrorCode.INVALID_PARAM,
                    "session_id",
                    "Cannot serve request " + request.id() + ": expected no session_id, since this job keeps no"
                            + " conversations, got one. Set conversations.enabled for the job, or leave it out.");
        }
        return RequestValidator.checkTokens(request, served.model().vocabSize());
    }

    /** A tokenizer that fails on some text must not fail the job. */
    private Texts.Encoded encode(PromptRequest request, boolean next) {
        try {
            return next ? served.texts().encodeNext(request) : served.texts().encode(request);
        } catch (RuntimeException e) {
            return new Texts.Refused(new RequestError(
                    ErrorCode.INTERNAL,
                    request.chat() ? "messages" : "prompt",
                    "Cannot tokenize the prompt of request " + request.id() + ": expected tokens, got "
                            + e.getClass().getSimpleName() + ". Report this request to the project."));
        }
    }

    /** A conversation also ends with its format's end of a turn, whatever the model's own list says. */
    private SamplingParams ending(SamplingParams params, int[] endTokens) {
        List<Integer> stops = new ArrayList<>(params.stopTokenIds());
        for (int token : endTokens) {
            if (!params.ignoreEos() && !served.endTokens().contains(token) && !stops.contains(token)) {
                stops.add(token);
            }
        }
        return params.toBuilder().stopTokenIds(stops).build();
    }

    private @Nullable String echo(PromptRequest request, int[] tokens) {
        if (!request.echo()) {
            return null;
        }
        return request.prompt() == null ? served.texts().decode(tokens) : request.prompt();
    }

    private Flight begin(Ticket ticket, SamplingParams params, int[] tokens, int[] opening, long arrivedNanos) {
        Long deadline = ticket.deadlineMillis();
        long deadlineNanos =
                deadline == null ? Long.MAX_VALUE : arrivedNanos + (deadline - ticket.arrivedMillis()) * 1_000_000;
        return new Flight(ticket, params, served.texts().begin(params, tokens), opening, arrivedNanos, deadlineNanos);
    }

    /** The flight of a restored request; its text has seen the tokens of the checkpoint. */
    Flight resume(InFlight restored) {
        Ticket ticket = restored.ticket();
        long nowNanos = clock.relativeTimeNanos();
        long elapsed = Math.max(0, clock.absoluteTimeMillis() - ticket.arrivedMillis());
        Long deadline = ticket.deadlineMillis();
        long deadlineNanos = deadline == null
                ? Long.MAX_VALUE
                : nowNanos + (deadline - ticket.arrivedMillis() - elapsed) * 1_000_000;
        Flight flight = new Flight(
                ticket,
                restored.sequence().params(),
                served.texts()
                        .begin(restored.sequence().params(), restored.sequence().prompt()),
                restored.opening(),
                nowNanos - (long) (elapsed * NANOS_PER_MILLI),
                deadlineNanos);
        for (int token : restored.sequence().output()) {
            flight.text.accept(token);
        }
        flight.text.take();
        flight.emittedTokens = restored.sequence().output().length;
        flight.chunks = restored.chunks();
        flight.cachedTokens = restored.cachedTokens();
        flight.queuedMillis = restored.queuedMillis();
        flight.firstTokenMillis = restored.firstTokenMillis();
        flight.lastTokenNanos = nowNanos;
        return flight;
    }
}
