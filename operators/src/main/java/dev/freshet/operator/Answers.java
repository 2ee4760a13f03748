package dev.freshet.operator;

import dev.freshet.engine.FinishReason;
import dev.freshet.engine.SequenceStats;
import dev.freshet.engine.StepResult;
import dev.freshet.engine.StopMatch;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import dev.freshet.sampling.Logprobs;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Failure;
import dev.freshet.schema.RequestMetrics;
import dev.freshet.schema.TokenChunk;
import dev.freshet.schema.TokenLogprob;
import dev.freshet.schema.TopLogprob;
import dev.freshet.schema.Usage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Puts outcomes into words: completions and chunks, signed with the model. Confined to the task thread. */
public final class Answers {

    private final ServedModel served;

    /** Creates answers of a model. */
    public Answers(ServedModel served) {
        this.served = served;
    }

    /** The completion of a request that never ran. */
    Outbound refusal(Admission.Refused refused, Origin origin) {
        Completion c = signed(refused.id(), refused.chat(), refused.arrivedMillis(), origin);
        c.setFinishReason(name(reason(refused)));
        c.setError(failure(refused.error()));
        return new Outbound.Completed(c, refused.key(), origin);
    }

    /** A request that was cancelled before it came is no mistake. */
    private static FinishReason reason(Admission.Refused refused) {
        return refused.error().code() == ErrorCode.CANCELLED ? FinishReason.ABORT : FinishReason.ERROR;
    }

    /** The only chunk of a request that never ran, so that a reader of chunks does not wait for more. */
    KeyedChunk refusalChunk(Admission.Refused refused) {
        TokenChunk chunk = new TokenChunk();
        chunk.setId(refused.id());
        chunk.setFinishReason(name(reason(refused)));
        chunk.setModel(served.name());
        chunk.setChat(refused.chat());
        chunk.setCreated(refused.arrivedMillis() / 1000);
        chunk.setText("");
        chunk.setTokenIds(List.of());
        return new KeyedChunk(refused.key(), chunk);
    }

    /**
     * The completion of a sequence that ended.
     *
     * @param text all of its text
     * @param error what went wrong, when the operator knows better than the engine
     */
    Outbound completion(
            Flight flight, StepResult.Finished finished, String text, @Nullable RequestError error, long nowNanos) {
        Ticket ticket = flight.ticket;
        Completion c = signed(ticket.id(), ticket.chat(), ticket.arrivedMillis(), ticket.origin());
        c.setText(ticket.echo() == null ? text : ticket.echo() + text);
        c.setTokenIds(
                ticket.returnTokenIds()
                        ? Arrays.stream(finished.tokens()).boxed().toList()
                        : null);
        c.setFinishReason(name(finished.reason()));
        c.setStopReason(stopReason(finished.stop()));
        RequestError reason = error == null ? finished.error() : error;
        c.setError(reason == null ? null : failure(reason));
        c.setLogprobs(flight.params.logprobs() < 0 ? null : logprobs(finished.logprobs()));
        c.setUsage(usage(flight, finished.stats()));
        c.setMetrics(metrics(flight, finished.stats(), nowNanos));
        c.setSeed(flight.params.seed());
        return new Outbound.Completed(c, ticket.key(), ticket.origin());
    }

    /**
     * The next chunk of a text.
     *
     * @param tokens new tokens
     * @param text what has become certain
     * @param finished how the text ended, or null while it grows
     */
    KeyedChunk chunk(Flight flight, int[] tokens, String text, StepResult.@Nullable Finished finished) {
        Ticket ticket = flight.ticket;
        TokenChunk chunk = new TokenChunk();
        chunk.setId(ticket.id());
        chunk.setIndex(flight.chunks++);
        chunk.setTokenOffset(flight.emittedTokens);
        flight.emittedTokens += tokens.length;
        chunk.setText(text);
        chunk.setTokenIds(Arrays.stream(tokens).boxed().toList());
        chunk.setModel(served.name());
        chunk.setChat(ticket.chat());
        chunk.setCreated(ticket.arrivedMillis() / 1000);
        if (finished != null) {
            chunk.setFinishReason(name(finished.reason()));
            chunk.setStopReason(stopReason(finished.stop()));
            chunk.setUsage(usage(flight, finished.stats()));
        }
        return new KeyedChunk(ticket.key(), chunk);
    }

    private Completion signed(String id, boolean chat, long arrivedMillis, Origin origin) {
        Completion c = new Completion();
        c.setId(id);
        c.setText("");
        c.setModel(served.name());
        c.setModelFingerprint(served.fingerprint());
        c.setBackend(served.backend());
        c.setChat(chat);
        c.setCreated(arrivedMillis / 1000);
        c.setSourceTopic(origin.topic());
        c.setSourcePartition(origin.partition());
        c.setSourceOffset(origin.offset());
        return c;
    }

    private static Usage usage(Flight flight, SequenceStats stats) {
        return new Usage((long) stats.promptTokens(), (long) stats.generatedTokens(), (long) flight.cachedTokens);
    }

    private static RequestMetrics metrics(Flight flight, SequenceStats stats, long nowNanos) {
        RequestMetrics m = new RequestMetrics();
        double end = flight.millisSinceArrival(nowNanos);
        int tokens = stats.generatedTokens();
        m.setQueueTimeMs(known(flight.queuedMillis));
        m.setTimeToFirstTokenMs(known(flight.firstTokenMillis));
        if (flight.firstTokenMillis != Flight.NEVER) {
            double generating = flight.millisSinceArrival(flight.lastTokenNanos) - flight.firstTokenMillis;
            m.setGenerationTimeMs(Math.max(0, generating));
            m.setMeanItlMs(tokens < 2 ? null : Math.max(0, generating) / (tokens - 1));
        }
        double ran = end - Math.max(0, flight.queuedMillis);
        m.setTokensPerSecond(ran <= 0 || tokens == 0 ? null : tokens / ran * 1e3);
        m.setSpecNumDrafts(stats.drafts());
        m.setSpecNumDraftTokens(stats.draftTokens());
        m.setSpecNumAcceptedTokens(stats.acceptedDraftTokens());
        m.setResumedFromCheckpoint(stats.resumed());
        m.setRecomputedTokens(stats.recomputedTokens());
        return m;
    }

    private static @Nullable Double known(double millis) {
        return millis == Flight.NEVER ? null : millis;
    }

    private List<TokenLogprob> logprobs(List<Logprobs> positions) {
        List<TokenLogprob> out = new ArrayList<>(positions.size());
        for (Logprobs position : positions) {
            List<TopLogprob> top = new ArrayList<>(position.topTokens().length);
            for (int i = 0; i < position.topTokens().length; i++) {
                int token = position.topTokens()[i];
                top.add(new TopLogprob(served.texts().piece(token), token, position.topLogprobs()[i]));
            }
            out.add(new TokenLogprob(
                    served.texts().piece(position.token()), position.token(), position.logprob(), top));
        }
        return out;
    }

    private static @Nullable Object stopReason(@Nullable StopMatch stop) {
        if (stop == null) {
            return null;
        }
        return stop.text() == null ? stop.tokenId() : stop.text();
    }

    private static Failure failure(RequestError error) {
        return new Failure(
                error.code().name(),
                error.field(),
                error.message(),
                error.code().status());
    }

    private static String name(FinishReason reason) {
        return reason.name().toLowerCase(Locale.ROOT);
    }
}
