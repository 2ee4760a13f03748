package dev.freshet.tokenizer;

import dev.freshet.engine.StopCondition;
import dev.freshet.engine.StopMatch;
import dev.freshet.request.SamplingParams;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The text of one generation, token by token: decodes, looks for stop strings also across tokens, and holds back only what could
 * still become one. What {@link #drain} gives, piece by piece, adds up to {@link #text}. Confined to the engine thread.
 */
public final class TextStream implements StopCondition {

    private final IncrementalDecoder decoder;
    private final StopMatcher matcher;
    private final Set<Integer> stopTokens;
    private final int minTokens;
    private final boolean includeStop;
    private final StringBuilder text = new StringBuilder();
    private int state = StopMatcher.START;
    private int searched;
    private int drained;
    private int tokens;
    private boolean finished;
    private @Nullable StopMatch match;

    /**
     * Starts a text.
     *
     * @param prompt tokens before it, for the space between prompt and text; empty when unknown
     * @param stopTokens ids that end the sequence, end tokens included; their own text is left out as that of stop strings
     */
    public TextStream(Tokenizer tokenizer, SamplingParams params, int[] prompt, Set<Integer> stopTokens) {
        decoder = tokenizer.decoder(params.skipSpecialTokens());
        decoder.skip(prompt);
        matcher = new StopMatcher(params.stop());
        this.stopTokens = Set.copyOf(stopTokens);
        minTokens = params.minTokens();
        includeStop = params.includeStop();
    }

    /**
     * Takes the next token. A stop string counts when it ends in the text of a token after the first min_tokens; where several end,
     * the first to end wins, and of those that end together the longest. Tokens after a match are ignored.
     */
    @Override
    public @Nullable StopMatch accept(int token) {
        if (match != null || finished) {
            return match;
        }
        tokens++;
        if (stopTokens.contains(token) && tokens > minTokens && !includeStop) {
            return null;
        }
        decoder.accept(token, text);
        search(tokens > minTokens);
        return match;
    }

    /** Takes tokens that were generated before a restart. */
    public void replay(int[] restored) {
        for (int token : restored) {
            accept(token);
        }
    }

    /** Takes the end of the sequence: gives out what was held back, unless a stop string ends in it. */
    public void finish() {
        if (finished) {
            return;
        }
        finished = true;
        if (match == null) {
            decoder.finish(text);
            search(tokens > minTokens);
            state = StopMatcher.START;
        }
    }

    private void search(boolean armed) {
        while (searched < text.length()) {
            state = matcher.next(state, text.charAt(searched++));
            String found = matcher.match(state);
            if (found != null && armed) {
                text.setLength(includeStop ? searched : searched - found.length());
                state = StopMatcher.START;
                match = new StopMatch(found, null);
                return;
            }
        }
    }

    /** The stop string that ended the text, or null. */
    public @Nullable StopMatch match() {
        return match;
    }

    /** Returns the text that has become certain since the last call, without what could become a stop string; may be empty. */
    public String drain() {
        int certain = text.length() - (includeStop ? 0 : matcher.pending(state));
        if (certain <= drained) {
            return "";
        }
        String delta = text.substring(drained, certain);
        drained = certain;
        return delta;
    }

    /** Characters that {@link #drain} has given so far. */
    public int drained() {
        return drained;
    }

    /** Returns the text: all of it after {@link #finish} or a match. */
    public String text() {
        return text.toString();
    }
}
