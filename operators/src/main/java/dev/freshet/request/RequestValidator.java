package dev.freshet.request;

import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenBias;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Turns decoded records into requests: fills in defaults, and refuses with code and field what is out of range. Nothing that
 * passes can harm the engine but token ids, which {@link #checkTokens} compares with the vocabulary. Immutable.
 */
public final class RequestValidator {

    private static final int MAX_NAME = 256;
    private static final long DEFAULT_MAX_TOKENS = 16;
    private static final double GREEDY_BELOW = 1e-5;
    private static final double MAX_TEMPERATURE = 2;
    private static final double MAX_PENALTY = 2;
    private static final double MAX_REPETITION_PENALTY = 10;
    private static final double MAX_BIAS = 100;

    private final RequestLimits limits;

    public RequestValidator(RequestLimits limits) {
        this.limits = limits;
    }

    /** The limits it checks against. */
    public RequestLimits limits() {
        return limits;
    }

    /**
     * Checks a record.
     *
     * @param record what was decoded
     * @param fallbackId id when the record has none: {@code topic-partition-offset} in a stream
     * @param arrivedMillis arrival in epoch milliseconds, from a clock that producers do not set; deadlines count from it
     */
    public Validated validate(Prompt record, String fallbackId, long arrivedMillis) {
        boolean named = record.getId() != null && !record.getId().isBlank();
        FieldChecks idChecks = new FieldChecks(fallbackId);
        if (named) {
            idChecks.name("id", record.getId(), MAX_NAME);
        }
        RequestError badId = idChecks.error();
        if (badId != null) {
            return new Validated.Invalid(fallbackId, badId);
        }
        String id = named ? record.getId() : fallbackId;
        FieldChecks checks = new FieldChecks(id);
        List<ChatMessage> messages = prompt(record, checks);
        SamplingParams params = params(record, id, checks);
        SpeculationMode speculation = speculation(record.getSpeculative(), checks);
        SessionTurn session = session(record, checks);
        checks.name("model", record.getModel(), MAX_NAME);
        int priority = (int) checks.whole("priority", record.getPriority(), 0, Integer.MIN_VALUE, Integer.MAX_VALUE);
        long deadline = checks.whole("deadline_ms", record.getDeadlineMs(), 0, 1, limits.deadlineMillis());
        RequestError error = checks.error();
        if (error != null) {
            return new Validated.Invalid(id, error);
        }
        return new Validated.Accepted(new PromptRequest(
                id,
                record.getPrompt(),
                messages,
                ints(record.getPromptTokenIds()),
                record.getChatFormat(),
                params,
                speculation,
                record.getEcho(),
                record.getStream(),
                record.getReturnTokenIds(),
                priority,
                record.getDeadlineMs() == null ? null : saturatedSum(arrivedMillis, deadline),
                session,
                record.getModel()));
    }

    private static @Nullable SessionTurn session(Prompt record, FieldChecks checks) {
        String id = record.getSessionId();
        checks.name("session_id", id, MAX_NAME);
        long turn = checks.whole("session_turn", record.getSessionTurn(), 0, 1, Integer.MAX_VALUE);
        if (id != null) {
            return new SessionTurn(id, (int) turn, record.getSessionEnd());
        }
        if (record.getSessionTurn() != null || record.getSessionEnd()) {
            checks.invalid("session_id", "session_id with session_turn or session_end", "none");
        }
        return null;
    }

    /**
     * Compares the token ids of a request with the vocabulary.
     *
     * @return what is wrong, or null
     */
    public static @Nullable RequestError checkTokens(PromptRequest request, int vocabSize) {
        FieldChecks checks = new FieldChecks(request.id());
        int[] prompt = request.promptTokenIds();
        if (prompt != null) {
            for (int token : prompt) {
                checkToken("prompt_token_ids", token, vocabSize, checks);
            }
        }
        for (int token : request.params().stopTokenIds()) {
            checkToken("stop_token_ids", token, vocabSize, checks);
        }
        for (int token : request.params().logitBias().keySet().stream().sorted().toList()) {
            checkToken("logit_bias", token, vocabSize, checks);
        }
        return checks.error();
    }

    /**
     * Compares the length of a tokenized prompt with the limit and with the model.
     *
     * @param tokens tokens of the prompt, chat format and begin-of-sequence included
     * @param contextLength positions that the model has
     * @return what is wrong, or null
     */
    public @Nullable RequestError checkLength(String id, int tokens, int contextLength) {
        // One position is left for the first generated token.
        int most = Math.min(limits.promptTokens(), contextLength - 1);
        FieldChecks checks = new FieldChecks(id);
        if (tokens > most) {
            tooLong(checks, "prompt", most + " tokens", Integer.toString(tokens));
        }
        return checks.error();
    }

    /**
     * Returns the seed of a request that has none: the first eight bytes, big-endian, of the SHA-256 of its id in UTF-8. The
     * same id gives the same text after every replay.
     */
    public static long seedOf(String id) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(id.getBytes(StandardCharsets.UTF_8));
            return ByteBuffer.wrap(hash).getLong();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Cannot derive a seed: expected SHA-256 in this Java, got none.", e);
        }
    }

    /** Checks that exactly one prompt is given and not too long, and returns the conversation if it is one. */
    private List<ChatMessage> prompt(Prompt record, FieldChecks checks) {
        String text = record.getPrompt();
        List<Message> messages = record.getMessages();
        List<Integer> ids = record.getPromptTokenIds();
        int given = (text == null ? 0 : 1) + (messages == null ? 0 : 1) + (ids == null ? 0 : 1);
        if (given == 0) {
            empty(checks, "prompt");
        } else if (given > 1) {
            checks.invalid(
                    ids == null ? "messages" : "prompt_token_ids",
                    "one of prompt, messages and prompt_token_ids",
                    given + " of them");
        }
        if (text != null) {
            int bytes = checks.text("prompt", text);
            if (bytes == 0 && !limits.emptyPrompt()) {
                empty(checks, "prompt");
            }
            if (bytes > limits.promptBytes()) {
                tooLong(checks, "prompt", limits.promptBytes() + " UTF-8 bytes", Integer.toString(bytes));
            }
        }
        if (ids != null) {
            if (ids.isEmpty()) {
                empty(checks, "prompt_token_ids");
            }
            if (ids.size() > limits.promptTokens()) {
                tooLong(checks, "prompt_token_ids", limits.promptTokens() + " tokens", Integer.toString(ids.size()));
            }
        }
        if (record.getChatFormat() != null) {
            checks.name("chat_format", record.getChatFormat(), MAX_NAME);
            if (messages == null) {
                checks.invalid("chat_format", "messages with chat_format", "none");
            }
        }
        return messages == null ? List.of() : conversation(messages, checks);
    }

    private List<ChatMessage> conversation(List<Message> messages, FieldChecks checks) {
        checks.count("messages", messages.size(), limits.messages());
        List<ChatMessage> turns = new ArrayList<>();
        long bytes = 0;
        for (Message message : messages) {
            String role = role(message.getRole());
            if (role == null) {
                checks.invalid("messages.role", "a role of system, user or assistant", "another one");
                break;
            }
            bytes += checks.text("messages.content", message.getContent());
            turns.add(new ChatMessage(role, message.getContent()));
        }
        if (checks.error() == null && bytes == 0) {
            empty(checks, "messages");
        }
        if (bytes > limits.promptBytes()) {
            tooLong(checks, "messages", limits.promptBytes() + " UTF-8 bytes", Long.toString(bytes));
        }
        return turns;
    }

    /** OpenAI's newer name for the system role is developer. */
    private static @Nullable String role(String role) {
        return switch (role) {
            case "system", "developer" -> "system";
            case "user" -> "user";
            case "assistant" -> "assistant";
            default -> null;
        };
    }

    private SamplingParams params(Prompt record, String id, FieldChecks checks) {
        int maxTokens = maxTokens(record, checks);
        int minTokens = (int) checks.whole("min_tokens", record.getMinTokens(), 0, 0, maxTokens);
        double temperature = checks.number("temperature", record.getTemperature(), 1, 0, MAX_TEMPERATURE);
        double topP = checks.positive("top_p", record.getTopP(), 1, 1);
        int topK = (int) checks.whole("top_k", record.getTopK(), 0, -1, Integer.MAX_VALUE);
        double minP = checks.number("min_p", record.getMinP(), 0, 0, 1);
        double repetition =
                checks.positive("repetition_penalty", record.getRepetitionPenalty(), 1, MAX_REPETITION_PENALTY);
        double presence = checks.number("presence_penalty", record.getPresencePenalty(), 0, -MAX_PENALTY, MAX_PENALTY);
        double frequency =
                checks.number("frequency_penalty", record.getFrequencyPenalty(), 0, -MAX_PENALTY, MAX_PENALTY);
        Map<Integer, Double> bias = logitBias(record, checks);
        List<String> stop = stop(record, checks);
        List<Integer> stopIds = record.getStopTokenIds();
        checks.count("stop_token_ids", stopIds.size(), limits.stopTokenIds());
        stopIds.forEach(token -> checkToken("stop_token_ids", token, Integer.MAX_VALUE, checks));
        int logprobs = (int) checks.whole("logprobs", record.getLogprobs(), -1, 0, limits.logprobs());
        checks.whole("n", record.getN(), 1, 1, 1);
        return SamplingParams.builder()
                .maxTokens(maxTokens)
                .minTokens(minTokens)
                .temperature(temperature < GREEDY_BELOW ? 0 : temperature)
                .topP(topP)
                .topK(Math.max(topK, 0))
                .minP(minP)
                .repetitionPenalty(repetition)
                .presencePenalty(presence)
                .frequencyPenalty(frequency)
                .logitBias(bias)
                .stop(stop)
                .stopTokenIds(stopIds)
                .ignoreEos(record.getIgnoreEos())
                .includeStop(record.getIncludeStopStrInOutput())
                .skipSpecialTokens(record.getSkipSpecialTokens())
                .logprobs(logprobs)
                .seed(record.getSeed() == null ? seedOf(id) : record.getSeed())
                .build();
    }

    private int maxTokens(Prompt record, FieldChecks checks) {
        Long older = record.getMaxTokens();
        Long newer = record.getMaxCompletionTokens();
        if (older != null && newer != null && !older.equals(newer)) {
            checks.invalid(
                    "max_completion_tokens", "max_completion_tokens equal to max_tokens of " + older, newer.toString());
        }
        long otherwise = Math.min(DEFAULT_MAX_TOKENS, limits.maxTokens());
        return older == null
                ? (int) checks.whole("max_completion_tokens", newer, otherwise, 1, limits.maxTokens())
                : (int) checks.whole("max_tokens", older, otherwise, 1, limits.maxTokens());
    }

    private Map<Integer, Double> logitBias(Prompt record, FieldChecks checks) {
        List<TokenBias> entries = record.getLogitBias();
        if (entries == null) {
            return Map.of();
        }
        checks.count("logit_bias", entries.size(), limits.logitBiases());
        Map<Integer, Double> bias = new LinkedHashMap<>();
        for (TokenBias entry : entries) {
            checkToken("logit_bias", entry.getTokenId(), Integer.MAX_VALUE, checks);
            double value = checks.number("logit_bias", entry.getBias(), 0, -MAX_BIAS, MAX_BIAS);
            if (bias.put(entry.getTokenId(), value) != null) {
                checks.invalid("logit_bias", "each token once in logit_bias", "token " + entry.getTokenId() + " twice");
            }
        }
        return bias;
    }

    private List<String> stop(Prompt record, FieldChecks checks) {
        List<String> stop = record.getStop();
        checks.count("stop", stop.size(), limits.stopStrings());
        for (String each : stop) {
            int bytes = checks.text("stop", each);
            if (bytes < 1 || bytes > limits.stopBytes()) {
                checks.invalid(
                        "stop", "stop strings of 1 to " + limits.stopBytes() + " UTF-8 bytes", Integer.toString(bytes));
            }
        }
        return stop;
    }

    private static @Nullable SpeculationMode speculation(@Nullable String name, FieldChecks checks) {
        if (name == null) {
            return null;
        }
        for (SpeculationMode mode : SpeculationMode.values()) {
            if (mode.name().toLowerCase(Locale.ROOT).equals(name)) {
                return mode;
            }
        }
        checks.invalid("speculative", "speculative to be auto, off, tree, lookup or typical", "another value");
        return null;
    }

    private static void checkToken(String field, int token, int vocabSize, FieldChecks checks) {
        if (token < 0 || token >= vocabSize) {
            String expected = vocabSize == Integer.MAX_VALUE
                    ? "token ids of at least 0 in " + field
                    : "token ids from 0 to " + (vocabSize - 1) + " in " + field;
            checks.invalid(field, expected, Integer.toString(token));
        }
    }

    private static void empty(FieldChecks checks, String field) {
        checks.fail(
                ErrorCode.EMPTY_PROMPT,
                field,
                "text in prompt, messages or prompt_token_ids",
                "none",
                "Send something to continue.");
    }

    private static void tooLong(FieldChecks checks, String field, String most, String got) {
        checks.fail(ErrorCode.PROMPT_TOO_LONG, field, field + " of at most " + most, got, "Shorten the prompt.");
    }

    private static int @Nullable [] ints(@Nullable List<Integer> values) {
        return values == null
                ? null
                : values.stream().mapToInt(Integer::intValue).toArray();
    }

    private static long saturatedSum(long a, long b) {
        long sum = a + b;
        return b > 0 && sum < a ? Long.MAX_VALUE : sum;
    }
}
