package dev.freshet.request;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenBias;
import dev.freshet.wire.WireCodes;
import java.lang.reflect.Field;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

class RequestValidatorTest {

    private static final RequestValidator VALIDATOR = new RequestValidator(RequestLimits.defaults());

    private static Prompt prompt() {
        return Prompt.newBuilder().setId("r-1").setPrompt("Once").build();
    }

    private static PromptRequest accepted(Prompt prompt) {
        Validated result = VALIDATOR.validate(prompt, "prompts-3-77", 1_000);
        assertThat(result).isInstanceOf(Validated.Accepted.class);
        return ((Validated.Accepted) result).request();
    }

    @Nested
    class Accepted {

        @Test
        void bareRequestGetsTheDefaultsOfVllm() {
            PromptRequest request = accepted(prompt());

            assertThat(request.params())
                    .isEqualTo(SamplingParams.builder()
                            .seed(RequestValidator.seedOf("r-1"))
                            .build());
            assertThat(request.id()).isEqualTo("r-1");
            assertThat(request.prompt()).isEqualTo("Once");
            assertThat(request.messages()).isEmpty();
            assertThat(request.promptTokenIds()).isNull();
            assertThat(request.chat()).isFalse();
            assertThat(request.speculation()).isNull();
            assertThat(request.deadlineMillis()).isNull();
            assertThat(request.echo()).isFalse();
            assertThat(request.stream()).isFalse();
            assertThat(request.returnTokenIds()).isFalse();
        }

        @Test
        void everyFieldArrives() {
            Prompt p = prompt();
            p.setPrompt(null);
            p.setMessages(List.of(new Message("developer", "Be brief."), new Message("user", "Hello")));
            p.setChatFormat("chatml");
            p.setMaxTokens(200L);
            p.setMaxCompletionTokens(200L);
            p.setMinTokens(200L);
            p.setTemperature(2.0);
            p.setTopP(0.5);
            p.setTopK(40L);
            p.setMinP(1.0);
            p.setRepetitionPenalty(10.0);
            p.setPresencePenalty(-2.0);
            p.setFrequencyPenalty(2.0);
            p.setLogitBias(List.of(new TokenBias(7, -100.0)));
            p.setStop(List.of("\n", "x".repeat(64)));
            p.setStopTokenIds(List.of(0, 2));
            p.setIgnoreEos(true);
            p.setIncludeStopStrInOutput(true);
            p.setSkipSpecialTokens(false);
            p.setLogprobs(20L);
            p.setSeed(-1L);
            p.setN(1L);
            p.setSpeculative("lookup");
            p.setEcho(true);
            p.setStream(true);
            p.setReturnTokenIds(true);
            p.setPriority(-5L);
            p.setDeadlineMs(500L);
            p.setSessionId("s");
            p.setSessionTurn(2L);
            p.setSessionEnd(true);
            p.setModel("m");

            assertThat(accepted(p))
                    .isEqualTo(new PromptRequest(
                            "r-1",
                            null,
                            List.of(new ChatMessage("system", "Be brief."), new ChatMessage("user", "Hello")),
                            null,
                            "chatml",
                            new SamplingParams(
                                    200,
                                    200,
                                    2.0,
                                    0.5,
                                    40,
                                    1.0,
                                    10.0,
                                    -2.0,
                                    2.0,
                                    Map.of(7, -100.0),
                                    List.of("\n", "x".repeat(64)),
                                    List.of(0, 2),
                                    true,
                                    true,
                                    false,
                                    20,
                                    -1L),
                            SpeculationMode.LOOKUP,
                            true,
                            true,
                            true,
                            -5,
                            1_500L,
                            new SessionTurn("s", 2, true),
                            "m"));
        }

        @Test
        void missingOrBlankIdIsDerivedFromThePosition() {
            for (String id : new String[] {null, "", "  \t"}) {
                Prompt p = prompt();
                p.setId(id);
                assertThat(accepted(p).id()).isEqualTo("prompts-3-77");
            }
        }

        @Test
        void seedDependsOnTheIdAlone() {
            Prompt other = prompt();
            other.setPrompt("Another");
            other.setTemperature(0.3);
            assertThat(accepted(other).params().seed())
                    .isEqualTo(accepted(prompt()).params().seed())
                    // The first eight bytes of SHA-256("r-1"), by sha256sum.
                    .isEqualTo(0xa5fa777a3dc67268L);
            assertThat(RequestValidator.seedOf("r-2")).isNotEqualTo(RequestValidator.seedOf("r-1"));
        }

        @Test
        void bothNamesOfMaxTokensCount() {
            Prompt older = prompt();
            older.setMaxTokens(8192L);
            Prompt newer = prompt();
            newer.setMaxCompletionTokens(7L);
            assertThat(accepted(older).params().maxTokens()).isEqualTo(8192);
            assertThat(accepted(newer).params().maxTokens()).isEqualTo(7);
        }

        @Test
        void tinyTemperatureIsGreedyAndTopKMinusOneIsOff() {
            Prompt p = prompt();
            p.setTemperature(0.9e-5);
            p.setTopK(-1L);
            assertThat(accepted(p).params().greedy()).isTrue();
            assertThat(accepted(p).params().topK()).isZero();
            p.setTemperature(-0.0);
            assertThat(accepted(p).params().greedy()).isTrue();
        }

        @Test
        void deadlineNeverWrapsAround() {
            Prompt p = prompt();
            p.setDeadlineMs(3_600_000L);
            Validated result = VALIDATOR.validate(p, "f", Long.MAX_VALUE - 5);
            assertThat(((Validated.Accepted) result).request().deadlineMillis()).isEqualTo(Long.MAX_VALUE);
        }

        @Test
        void unusualTextIsText() {
            for (String text : List.of("\u0000", "<|endoftext|>", "\uFEFFx", "\u202Ex", "\u200D".repeat(1000), " ")) {
                Prompt p = prompt();
                p.setPrompt(text);
                assertThat(accepted(p).prompt()).isEqualTo(text);
            }
        }

        @Test
        void emptyPromptIsServedWhereTheJobSaysSo() {
            Prompt p = prompt();
            p.setPrompt("");
            RequestValidator lenient =
                    new RequestValidator(RequestLimits.defaults().withEmptyPrompt(true));
            assertThat(lenient.validate(p, "f", 0)).isInstanceOf(Validated.Accepted.class);
        }

        @Test
        void loweredLimitLowersTheDefaultToo() {
            RequestValidator small =
                    new RequestValidator(RequestLimits.defaults().withLengths(100, 10, 8));
            Validated result = small.validate(prompt(), "f", 0);
            assertThat(((Validated.Accepted) result).request().params().maxTokens())
                    .isEqualTo(8);
        }
    }

    @Nested
    class Tokens {

        private static PromptRequest request(List<Integer> prompt, List<Integer> stop, int biased) {
            Prompt p = prompt();
            p.setPrompt(null);
            p.setPromptTokenIds(prompt);
            p.setStopTokenIds(stop);
            p.setLogitBias(List.of(new TokenBias(biased, 1.0)));
            return accepted(p);
        }

        @Test
        void idsInsideTheVocabularyPass() {
            assertThat(RequestValidator.checkTokens(request(List.of(0, 9), List.of(9), 9), 10))
                    .isNull();
        }

        @Test
        void idsOutsideTheVocabularyAreNamed() {
            assertThat(RequestValidator.checkTokens(request(List.of(0, 10), List.of(9), 9), 10))
                    .isEqualTo(new RequestError(
                            ErrorCode.INVALID_PARAM,
                            "prompt_token_ids",
                            "Cannot serve request r-1: expected token ids from 0 to 9 in prompt_token_ids, got 10."
                                    + " Correct prompt_token_ids."));
            assertThat(RequestValidator.checkTokens(request(List.of(-1), List.of(9), 9), 10))
                    .extracting(RequestError::field)
                    .isEqualTo("prompt_token_ids");
            assertThat(RequestValidator.checkTokens(request(List.of(1), List.of(10), 9), 10))
                    .extracting(RequestError::field)
                    .isEqualTo("stop_token_ids");
            assertThat(RequestValidator.checkTokens(request(List.of(1), List.of(9), 10), 10))
                    .extracting(RequestError::field)
                    .isEqualTo("logit_bias");
        }

        @Test
        void promptMustLeaveRoomForOneToken() {
            assertThat(VALIDATOR.checkLength("r-1", 511, 512)).isNull();
            assertThat(VALIDATOR.checkLength("r-1", 512, 512))
                    .isEqualTo(new RequestError(
                            ErrorCode.PROMPT_TOO_LONG,
                            "prompt",
                            "Cannot serve request r-1: expected prompt of at most 511 tokens, got 512. Shorten the"
                                    + " prompt."));
            assertThat(VALIDATOR.checkLength("r-1", 32_768, Integer.MAX_VALUE)).isNull();
            assertThat(VALIDATOR.checkLength("r-1", 32_769, Integer.MAX_VALUE)).isNotNull();
        }
    }

    @Test
    void limitsAreLoweredNeverRaised() {
        assertThat(RequestLimits.defaults().withLengths(1, 1, 1).maxTokens()).isEqualTo(1);
        org.assertj.core.api.Assertions.assertThatThrownBy(
                        () -> RequestLimits.defaults().withLengths(1, 1, 8193))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("expected max_tokens from 1 to 8192, got 8193");
    }

    @Test
    void wireCodesAreErrorCodes() throws ReflectiveOperationException {
        for (Field field : WireCodes.class.getFields()) {
            assertThat(ErrorCode.valueOf((String) field.get(null)).name()).isEqualTo(field.getName());
        }
    }
}
