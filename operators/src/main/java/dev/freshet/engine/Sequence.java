package dev.freshet.engine;

import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.Logprobs;
import dev.freshet.sampling.TokenHistory;
import dev.freshet.speculative.LookupPace;
import dev.freshet.speculative.PromptLookupDrafter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * One request in the engine. Of its known tokens the first {@code committed} are in the state of its slot; the rest is still to be
 * run: a whole prompt at first, one chosen token while decoding. Confined to the engine thread.
 */
final class Sequence {

    static final int NO_SLOT = -1;

    final String id;
    final SamplingParams params;
    final SpeculationMode speculation;
    final StopCondition stop;
    final int priority;
    final boolean kept;
    final long arrival;
    final TokenHistory history;
    final List<Logprobs> logprobs = new ArrayList<>();
    final List<Logprobs> fresh = new ArrayList<>();

    /** Ids that end the sequence; forbidden before min_tokens. */
    final Set<Integer> stopIds;

    final int[] forbidden;

    int[] tokens;
    int length;
    final int promptLength;
    int committed;

    /** Tokens to be committed before the sequence shares a step with others. */
    int aloneUntil;

    int slot = NO_SLOT;

    /** Final hidden state of the last committed token, present while a Medusa model decodes the sequence. */
    float @Nullable [] hidden;

    boolean hiddenReady;

    /** State of a restored sequence that has no slot yet. */
    @Nullable
    SequenceState restored;

    private @Nullable PromptLookupDrafter lookup;
    final LookupPace pace = new LookupPace();

    int drafts;
    int draftTokens;
    int acceptedDraftTokens;
    int resumed;
    int recomputedTokens;

    /** Output length at the start of the step at hand. */
    int stepStart;

    @Nullable
    FinishReason finish;

    @Nullable
    StopMatch stopMatch;

    @Nullable
    RequestError error;

    /** What is kept of the sequence, from its end on. */
    @Nullable
    Continuation continuation;

    Sequence(GenerationRequest request, Set<Integer> endTokens, long arrival) {
        this(request, new int[0], endTokens, arrival);
    }

    Sequence(GenerationRequest request, int[] output, Set<Integer> endTokens, long arrival) {
        id = request.id();
        params = request.params();
        speculation = request.speculation();
        stop = request.stop();
        priority = request.priority();
        kept = request.kept();
        this.arrival = arrival;
        promptLength = request.prompt().length;
        length = promptLength + output.length;
        tokens = Arrays.copyOf(request.prompt(), Math.max(16, length + Math.min(params.maxTokens(), 1024)));
        System.arraycopy(output, 0, tokens, promptLength, output.length);
        history = new TokenHistory(request.prompt(), output);
        stopIds = new TreeSet<>(params.stopTokenIds());
        if (!params.ignoreEos()) {
            stopIds.addAll(endTokens);
        }
        forbidden = stopIds.stream().mapToInt(Integer::intValue).toArray();
    }

    int outputLength() {
        return length - promptLength;
    }

    /** Tokens that are known but not in the state. */
    int pending() {
        return length - committed;
    }

    /** Whether one chosen token waits to be run and nothing else. */
    boolean decoding() {
        return pending() == 1 && outputLength() > 0;
    }

    int[] output() {
        return Arrays.copyOfRange(tokens, promptLength, length);
    }

    /** Ids that must not be drawn at the next position. */
    int[] forbiddenNow() {
        return outputLength() < params.minTokens() ? forbidden : NONE;
    }

    private static final int[] NONE = {};

    /** Takes a drawn token and decides whether it ends the sequence. */
    void append(int token, int contextLength) {
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * length);
        }
        tokens[length++] = token;
        history.append(token);
        if (lookup != null) {
            lookup.add(token);
        }
        StopMatch match = stop.accept(token);
        boolean early = outputLength() <= params.minTokens();
        if (!early && stopIds.contains(token)) {
            finish = FinishReason.STOP;
            stopMatch = new StopMatch(null, params.stopTokenIds().contains(token) ? token : null);
        } else if (match != null) {
            finish = FinishReason.STOP;
            stopMatch = match;
        } else if (outputLength() >= params.maxTokens() || length >= contextLength) {
            finish = FinishReason.LENGTH;
        }
    }

    /** Ends the sequence because the model gave no logits to draw from. */
    void fail() {
        finish = FinishReason.ERROR;
        error = new RequestError(
                ErrorCode.NUMERIC_FAULT,
                null,
                "The model gave no finite logits at position " + length + ". Check the weights or the parameters.");
    }

    /** Why the sequence can never run, or null. */
    @Nullable
    RequestError obstacle(int vocabSize, int contextLength) {
        if (promptLength == 0) {
            return new RequestError(ErrorCode.EMPTY_PROMPT, "prompt", "The prompt has no tokens. Send at least one.");
        }
        if (length >= contextLength) {
            return new RequestError(
                    ErrorCode.PROMPT_TOO_LONG,
                    "prompt",
                    "The prompt has " + length + " tokens, expected fewer than the context length " + contextLength
                            + ". Shorten it.");
        }
        for (int i = 0; i < length; i++) {
            if (tokens[i] < 0 || tokens[i] >= vocabSize) {
                return new RequestError(
                        ErrorCode.INVALID_PARAM,
                        "prompt_token_ids",
                        "Token id " + tokens[i] + " expected in [0, " + vocabSize + ").");
            }
        }
        return null;
    }

    /** The drafter over this sequence's own tokens, built on first use. */
    PromptLookupDrafter lookup() {
        if (lookup == null) {
            lookup = new PromptLookupDrafter();
            for (int i = 0; i < length; i++) {
                lookup.add(tokens[i]);
            }
        }
        return lookup;
    }

    /** Whether the sequence has ended and its state is wanted. */
    boolean keepsState() {
        return kept && (finish == FinishReason.STOP || finish == FinishReason.LENGTH);
    }

    /** All known tokens but a stop token at the end, which ends the answer and is no part of it. */
    int[] lasting() {
        boolean stopToken = stopMatch != null && stopMatch.text() == null;
        return Arrays.copyOf(tokens, stopToken ? length - 1 : length);
    }

    SequenceStats stats() {
        return new SequenceStats(
                promptLength, outputLength(), drafts, draftTokens, acceptedDraftTokens, resumed, recomputedTokens);
    }

    SequenceSnapshot snapshot(@Nullable SequenceState state) {
        return new SequenceSnapshot(
                id,
                Arrays.copyOf(tokens, promptLength),
                output(),
                params,
                speculation,
                priority,
                List.copyOf(logprobs),
                stats(),
                committed,
                state);
    }

    StepResult.Finished finished() {
        FinishReason reason = finish == null ? FinishReason.ABORT : finish;
        return new StepResult.Finished(
                id, reason, stopMatch, error, output(), List.copyOf(logprobs), stats(), continuation);
    }
}
