package dev.freshet.request;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenBias;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every way in which a request can be wrong has its code and its field, and none of them repeats the prompt. */
class BadRequestsTest {

    private static final String CANARY = "canary-7f3a";
    private static final RequestValidator VALIDATOR = new RequestValidator(RequestLimits.defaults());

    private record Bad(String what, ErrorCode code, String field, Consumer<Prompt> change) {}

    private static final class Table {
        private final List<Bad> all = new ArrayList<>();

        void param(String field, String what, Consumer<Prompt> change) {
            all.add(new Bad(field + " " + what, ErrorCode.INVALID_PARAM, field, change));
        }

        void add(ErrorCode code, String field, String what, Consumer<Prompt> change) {
            all.add(new Bad(code + " " + field + " " + what, code, field, change));
        }
    }

    private static List<Bad> table() {
        Table t = new Table();
        prompts(t);
        names(t);
        lengths(t);
        numbers(t);
        lists(t);
        return t.all;
    }

    private static void prompts(Table t) {
        t.add(ErrorCode.EMPTY_PROMPT, "prompt", "missing", p -> p.setPrompt(null));
        t.add(ErrorCode.EMPTY_PROMPT, "prompt", "empty", p -> p.setPrompt(""));
        t.add(ErrorCode.EMPTY_PROMPT, "messages", "empty", p -> messages(p));
        t.add(ErrorCode.EMPTY_PROMPT, "messages", "without text", p -> messages(p, new Message("user", "")));
        t.add(ErrorCode.EMPTY_PROMPT, "prompt_token_ids", "empty", p -> ids(p, List.of()));
        t.add(ErrorCode.PROMPT_TOO_LONG, "prompt", "ASCII", p -> p.setPrompt("a".repeat(262_145)));
        t.add(ErrorCode.PROMPT_TOO_LONG, "prompt", "4-byte", p -> p.setPrompt("\uD83D\uDE00".repeat(65_537)));
        t.add(
                ErrorCode.PROMPT_TOO_LONG,
                "messages",
                "sum",
                p -> messages(p, new Message("user", "a".repeat(200_000)), new Message("user", "a".repeat(62_145))));
        t.add(ErrorCode.PROMPT_TOO_LONG, "prompt_token_ids", "many", p -> ids(p, Collections.nCopies(32_769, 1)));
        t.add(ErrorCode.INVALID_UTF8, "prompt", "high surrogate", p -> p.setPrompt("a\uD83D"));
        t.add(ErrorCode.INVALID_UTF8, "prompt", "low surrogate", p -> p.setPrompt("\uDE00a"));
        t.add(
                ErrorCode.INVALID_UTF8,
                "messages.content",
                "surrogate",
                p -> messages(p, new Message("user", CANARY + "\uD83D")));
        t.add(ErrorCode.INVALID_UTF8, "stop", "surrogate", p -> p.setStop(List.of("\uD83D")));
        t.add(ErrorCode.INVALID_UTF8, "id", "surrogate", p -> p.setId("\uD83D"));
        t.add(ErrorCode.INVALID_UTF8, "session_id", "surrogate", p -> p.setSessionId("\uD83D"));
        t.add(ErrorCode.INVALID_UTF8, "model", "surrogate", p -> p.setModel("\uD83D"));
        t.param("messages", "with prompt", p -> p.setMessages(List.of(new Message("user", "x"))));
        t.param("messages", "empty with prompt", p -> p.setMessages(List.of()));
        t.param("prompt_token_ids", "with prompt", p -> p.setPromptTokenIds(List.of(1)));
        t.param("prompt_token_ids", "with messages", p -> {
            messages(p, new Message("user", "x"));
            p.setPromptTokenIds(List.of(1));
        });
        t.param("prompt_token_ids", "with both", p -> {
            p.setMessages(List.of(new Message("user", "x")));
            p.setPromptTokenIds(List.of(1));
        });
        t.param("messages", "too many", p -> messages(p, turns(1025)));
        for (String role : List.of("tool", "function", "User", "", " user", CANARY)) {
            t.param("messages.role", "'" + role + "'", p -> messages(p, new Message(role, CANARY)));
        }
        t.param("chat_format", "without messages", p -> p.setChatFormat("chatml"));
        t.param("chat_format", "blank", p -> {
            messages(p, new Message("user", "x"));
            p.setChatFormat(" ");
        });
        t.param("chat_format", "long", p -> {
            messages(p, new Message("user", "x"));
            p.setChatFormat("c".repeat(257));
        });
    }

    private static void names(Table t) {
        t.param("id", "long", p -> p.setId("i".repeat(257)));
        t.param("id", "NUL", p -> p.setId("a\u0000b"));
        t.param("id", "line feed", p -> p.setId("a\nb"));
        t.param("id", "C1 control", p -> p.setId("a\u0085b"));
        t.param("id", "line separator", p -> p.setId("a\u2028b"));
        t.param("session_id", "turn without session", p -> p.setSessionTurn(1L));
        t.param("session_id", "end without session", p -> p.setSessionEnd(true));
        t.param("session_turn", "0", p -> p.setSessionTurn(0L));
        t.param("session_turn", "-1", p -> p.setSessionTurn(-1L));
        t.param("session_turn", "2^31", p -> p.setSessionTurn(1L << 31));
        t.param("session_id", "blank", p -> p.setSessionId(" "));
        t.param("session_id", "long", p -> p.setSessionId("s".repeat(257)));
        t.param("session_id", "control", p -> p.setSessionId("a\u001Bb"));
        t.param("model", "blank", p -> p.setModel(""));
        t.param("model", "long", p -> p.setModel("m".repeat(257)));
        t.param("model", "control", p -> p.setModel("m\r"));
        for (String mode : List.of("on", "", "AUTO", "medusa", CANARY)) {
            t.param("speculative", "'" + mode + "'", p -> p.setSpeculative(mode));
        }
    }

    private static void lengths(Table t) {
        for (long n : new long[] {0, -1, 8193, 1L << 31, (1L << 32) + 5, Long.MIN_VALUE, Long.MAX_VALUE}) {
            t.param("max_tokens", "" + n, p -> p.setMaxTokens(n));
            t.param("max_completion_tokens", "" + n, p -> p.setMaxCompletionTokens(n));
        }
        t.param("max_completion_tokens", "differs", p -> {
            p.setMaxTokens(5L);
            p.setMaxCompletionTokens(6L);
        });
        for (long n : new long[] {-1, 17, 1L << 32}) {
            t.param("min_tokens", "" + n, p -> p.setMinTokens(n));
        }
        for (long n : new long[] {0, -1, 3_600_001, Long.MAX_VALUE}) {
            t.param("deadline_ms", "" + n, p -> p.setDeadlineMs(n));
        }
        for (long n : new long[] {1L << 31, -(1L << 31) - 1, Long.MIN_VALUE}) {
            t.param("priority", "" + n, p -> p.setPriority(n));
        }
    }

    private static void numbers(Table t) {
        double[] never = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, -3, 1e30};
        for (double x : never) {
            t.param("temperature", "" + x, p -> p.setTemperature(x));
            t.param("top_p", "" + x, p -> p.setTopP(x));
            t.param("min_p", "" + x, p -> p.setMinP(x));
            t.param("repetition_penalty", "" + x, p -> p.setRepetitionPenalty(x));
            t.param("presence_penalty", "" + x, p -> p.setPresencePenalty(x));
            t.param("frequency_penalty", "" + x, p -> p.setFrequencyPenalty(x));
        }
        t.param("temperature", "2.001", p -> p.setTemperature(2.001));
        t.param("temperature", "-1e-9", p -> p.setTemperature(-1e-9));
        t.param("top_p", "0", p -> p.setTopP(0.0));
        t.param("top_p", "-0.0", p -> p.setTopP(-0.0));
        t.param("top_p", "1.0001", p -> p.setTopP(1.0001));
        t.param("min_p", "1.0001", p -> p.setMinP(1.0001));
        t.param("repetition_penalty", "0", p -> p.setRepetitionPenalty(0.0));
        t.param("repetition_penalty", "10.5", p -> p.setRepetitionPenalty(10.5));
        t.param("presence_penalty", "-2.5", p -> p.setPresencePenalty(-2.5));
        t.param("frequency_penalty", "2.5", p -> p.setFrequencyPenalty(2.5));
        for (long n : new long[] {-2, -5, 1L << 31, Long.MIN_VALUE}) {
            t.param("top_k", "" + n, p -> p.setTopK(n));
        }
        for (long n : new long[] {0, -1, 2, 16_384}) {
            t.param("n", "" + n, p -> p.setN(n));
        }
        for (long n : new long[] {-1, 21, 1L << 40}) {
            t.param("logprobs", "" + n, p -> p.setLogprobs(n));
        }
    }

    private static void lists(Table t) {
        t.param("stop", "17 strings", p -> p.setStop(Collections.nCopies(17, "x")));
        t.param("stop", "10000 strings", p -> p.setStop(Collections.nCopies(10_000, "x")));
        t.param("stop", "empty string", p -> p.setStop(List.of("x", "")));
        t.param("stop", "65 bytes", p -> p.setStop(List.of("x".repeat(65))));
        t.param("stop", "33 two-byte characters", p -> p.setStop(List.of("ü".repeat(33))));
        t.param("stop_token_ids", "65 ids", p -> p.setStopTokenIds(Collections.nCopies(65, 1)));
        t.param("stop_token_ids", "negative", p -> p.setStopTokenIds(List.of(-1)));
        t.param("stop_token_ids", "smallest", p -> p.setStopTokenIds(List.of(Integer.MIN_VALUE)));
        t.param("logit_bias", "negative id", p -> bias(p, new TokenBias(-1, 0.0)));
        t.param("logit_bias", "twice", p -> bias(p, new TokenBias(1, 0.0), new TokenBias(1, 1.0)));
        t.param("logit_bias", "1025 entries", p -> bias(p, biases(1025)));
        for (double x : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 100.5, -101}) {
            t.param("logit_bias", "" + x, p -> bias(p, new TokenBias(1, x)));
        }
    }

    private static void messages(Prompt p, Message... messages) {
        p.setPrompt(null);
        p.setMessages(List.of(messages));
    }

    private static Message[] turns(int count) {
        return IntStream.range(0, count).mapToObj(i -> new Message("user", "x")).toArray(Message[]::new);
    }

    private static void ids(Prompt p, List<Integer> ids) {
        p.setPrompt(null);
        p.setPromptTokenIds(ids);
    }

    private static void bias(Prompt p, TokenBias... entries) {
        p.setLogitBias(List.of(entries));
    }

    private static TokenBias[] biases(int count) {
        return IntStream.range(0, count).mapToObj(i -> new TokenBias(i, 0.0)).toArray(TokenBias[]::new);
    }

    private static RequestError refused(Bad bad) {
        Prompt p = Prompt.newBuilder().setId("r-1").setPrompt("Tell " + CANARY).build();
        bad.change.accept(p);
        Validated result = VALIDATOR.validate(p, "prompts-0-1", 0);
        assertThat(result).as(bad.what).isInstanceOf(Validated.Invalid.class);
        Validated.Invalid invalid = (Validated.Invalid) result;
        assertThat(invalid.id()).as(bad.what).isEqualTo(bad.field.equals("id") ? "prompts-0-1" : "r-1");
        return invalid.error();
    }

    @TestFactory
    Stream<DynamicTest> eachIsRefusedWithCodeAndField() {
        return table().stream()
                .map(bad -> DynamicTest.dynamicTest(bad.what, () -> {
                    RequestError error = refused(bad);
                    assertThat(error.code()).isEqualTo(bad.code);
                    assertThat(error.field()).isEqualTo(bad.field);
                }));
    }

    @Test
    void messagesAreSentencesWithACureAndWithoutThePrompt() {
        assertThat(table()).hasSizeGreaterThanOrEqualTo(80);
        for (Bad bad : table()) {
            assertThat(refused(bad).message())
                    .as(bad.what)
                    .matches("(?s)Cannot serve request \\S+: expected .+, got .+\\. [A-Z].+\\.")
                    .doesNotContain(CANARY)
                    .hasSizeLessThanOrEqualTo(256);
        }
    }
}
