package dev.freshet.request;

/**
 * What one request may ask for. The defaults are also the upper bounds: a job can lower a limit, never raise it. Immutable.
 *
 * @param promptBytes UTF-8 bytes of the prompt, or of all messages together
 * @param promptTokens tokens of the prompt
 * @param maxTokens generated tokens
 * @param stopStrings number of stop strings
 * @param stopBytes UTF-8 bytes of one stop string
 * @param stopTokenIds number of stop token ids
 * @param logitBiases number of biased tokens
 * @param logprobs alternatives reported with each token
 * @param messages number of turns of a conversation
 * @param deadlineMillis longest deadline after arrival
 * @param emptyPrompt whether an empty prompt is served, which then is the begin-of-sequence token alone
 */
public record RequestLimits(
        int promptBytes,
        int promptTokens,
        int maxTokens,
        int stopStrings,
        int stopBytes,
        int stopTokenIds,
        int logitBiases,
        int logprobs,
        int messages,
        long deadlineMillis,
        boolean emptyPrompt) {

    private static final int PROMPT_BYTES = 256 << 10;
    private static final int PROMPT_TOKENS = 32 << 10;
    private static final int MAX_TOKENS = 8192;
    private static final int STOP_STRINGS = 16;
    private static final int STOP_BYTES = 64;
    private static final int STOP_TOKEN_IDS = 64;
    private static final int LOGIT_BIASES = 1024;
    private static final int LOGPROBS = 20;
    private static final int MESSAGES = 1024;
    private static final long DEADLINE_MILLIS = 3_600_000;

    public RequestLimits {
        require("prompt bytes", promptBytes, 1, PROMPT_BYTES);
        require("prompt tokens", promptTokens, 1, PROMPT_TOKENS);
        require("max_tokens", maxTokens, 1, MAX_TOKENS);
        require("stop strings", stopStrings, 0, STOP_STRINGS);
        require("stop bytes", stopBytes, 1, STOP_BYTES);
        require("stop token ids", stopTokenIds, 0, STOP_TOKEN_IDS);
        require("logit biases", logitBiases, 0, LOGIT_BIASES);
        require("logprobs", logprobs, 0, LOGPROBS);
        require("messages", messages, 1, MESSAGES);
        require("deadline milliseconds", deadlineMillis, 1, DEADLINE_MILLIS);
    }

    /** Returns the largest limits, with an empty prompt refused. */
    public static RequestLimits defaults() {
        return new RequestLimits(
                PROMPT_BYTES,
                PROMPT_TOKENS,
                MAX_TOKENS,
                STOP_STRINGS,
                STOP_BYTES,
                STOP_TOKEN_IDS,
                LOGIT_BIASES,
                LOGPROBS,
                MESSAGES,
                DEADLINE_MILLIS,
                false);
    }

    /** Returns a copy with other limits for the length of prompt and text. */
    public RequestLimits withLengths(int bytes, int tokens, int generated) {
        return new RequestLimits(
                bytes,
                tokens,
                generated,
                stopStrings,
                stopBytes,
                stopTokenIds,
                logitBiases,
                logprobs,
                messages,
                deadlineMillis,
                emptyPrompt);
    }

    /** Returns a copy that serves an empty prompt, or not. */
    public RequestLimits withEmptyPrompt(boolean served) {
        return new RequestLimits(
                promptBytes,
                promptTokens,
                maxTokens,
                stopStrings,
                stopBytes,
                stopTokenIds,
                logitBiases,
                logprobs,
                messages,
                deadlineMillis,
                served);
    }

    private static void require(String name, long value, long least, long most) {
        if (value < least || value > most) {
            throw new ConfigError("Cannot set the request limits: expected " + name + " from " + least + " to " + most
                    + ", got " + value + ". A limit can only be lowered.");
        }
    }
}
