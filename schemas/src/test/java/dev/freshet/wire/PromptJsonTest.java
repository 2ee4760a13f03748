package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenBias;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PromptJsonTest {

    private static final String CANARY = "canary7f3a";

    private static Decoded<Prompt> decode(String json, boolean strict) {
        return WireFormat.of("json", WireOptions.defaults().withStrict(strict))
                .decoder(RecordType.PROMPT)
                .decode(json.getBytes(StandardCharsets.UTF_8));
    }

    private static Prompt value(String json) {
        Decoded<Prompt> decoded = decode(json, false);
        assertThat(decoded).as(json).isInstanceOf(Decoded.Value.class);
        return ((Decoded.Value<Prompt>) decoded).value();
    }

    private static Decoded.Refused<Prompt> refused(String json, boolean strict) {
        Decoded<Prompt> decoded = decode(json, strict);
        assertThat(decoded).as(json).isInstanceOf(Decoded.Refused.class);
        return (Decoded.Refused<Prompt>) decoded;
    }

    private static Decoded.Refused<Prompt> refused(String json) {
        return refused(json, false);
    }

    @Nested
    class Lines {

        @Test
        void batchLineGivesItsId() {
            Prompt p = value(
                    "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\","
                            + "\"request_id\":\"inner\"}}");
            assertThat(p)
                    .isEqualTo(Prompt.newBuilder().setId("a").setPrompt("x").build());
        }

        @Test
        void lineWithoutIdTakesTheOneInTheBody() {
            assertThat(value("{\"body\":{\"prompt\":\"x\",\"request_id\":\"inner\"}}")
                            .getId())
                    .isEqualTo("inner");
            assertThat(value("{\"body\":{\"prompt\":\"x\"}}").getId()).isNull();
        }

        @Test
        void bareBodyIsARequestToo() {
            assertThat(value("{\"prompt\":\"x\",\"request_id\":\"a\"}"))
                    .isEqualTo(Prompt.newBuilder().setId("a").setPrompt("x").build());
        }

        @Test
        void orderOfFieldsDoesNotMatter() {
            assertThat(value(
                                    "{\"body\":{\"logprobs\":true,\"top_logprobs\":3,\"messages\":[{\"content\":\"x\",\"role\":\"user\"}]},"
                                            + "\"url\":\"/v1/chat/completions\",\"custom_id\":\"a\"}")
                            .getLogprobs())
                    .isEqualTo(3);
        }

        @Test
        void nullIsTheSameAsMissing() {
            assertThat(value("{\"prompt\":\"x\",\"max_tokens\":null,\"stop\":null,\"messages\":null,\"echo\":null,"
                            + "\"logit_bias\":null,\"n\":null,\"tools\":null,\"metadata\":null,\"priority\":null}"))
                    .isEqualTo(Prompt.newBuilder().setPrompt("x").build());
        }

        @Test
        void byteOrderMarkAndSpaceAroundAreIgnored() {
            assertThat(value("\uFEFF \r\n{\"prompt\":\"x\"}\n ").getPrompt()).isEqualTo("x");
        }
    }

    @Nested
    class Fields {

        @Test
        void stopIsAStringOrAList() {
            assertThat(value("{\"stop\":\"a\"}").getStop()).containsExactly("a");
            assertThat(value("{\"stop\":[\"a\",\"b\"]}").getStop()).containsExactly("a", "b");
            assertThat(value("{\"stop\":[]}").getStop()).isEmpty();
        }

        @Test
        void promptIsTextOrTokenIdsOrAListOfOneOfThem() {
            assertThat(value("{\"prompt\":\"a\"}").getPrompt()).isEqualTo("a");
            assertThat(value("{\"prompt\":[\"a\"]}").getPrompt()).isEqualTo("a");
            assertThat(value("{\"prompt\":[1,2]}").getPromptTokenIds()).containsExactly(1, 2);
            assertThat(value("{\"prompt\":[1]}").getPromptTokenIds()).containsExactly(1);
            assertThat(value("{\"prompt\":[[1,2]]}").getPromptTokenIds()).containsExactly(1, 2);
            assertThat(value("{\"prompt_token_ids\":[1,2]}").getPromptTokenIds())
                    .containsExactly(1, 2);
            assertThat(value("{\"prompt\":[]}").getPromptTokenIds()).isEmpty();
        }

        @Test
        void messageContentIsTextOrTextParts() {
            assertThat(value("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                                    + "{\"type\":\"text\",\"text\":\"b\"}],\"name\":\"n\"}]}")
                            .getMessages())
                    .containsExactly(new Message("user", "a\nb"));
        }

        @Test
        void wholeNumbersMayHaveAPoint() {
            assertThat(value("{\"max_tokens\":16.0,\"seed\":-3e2}").getMaxTokens())
                    .isEqualTo(16);
            assertThat(value("{\"seed\":-3e2}").getSeed()).isEqualTo(-300);
        }

        @Test
        void numbersOutOfRangeAreKeptForTheValidatorAsFarAsTheyFit() {
            assertThat(value("{\"max_tokens\":2147483648}").getMaxTokens()).isEqualTo(1L << 31);
            assertThat(value("{\"temperature\":1e999}").getTemperature()).isEqualTo(Double.POSITIVE_INFINITY);
        }

        @Test
        void logitBiasIsAnObjectOfTokenIds() {
            assertThat(value("{\"logit_bias\":{\"50256\":-100,\"1\":0.5}}").getLogitBias())
                    .containsExactly(new TokenBias(50256, -100.0), new TokenBias(1, 0.5));
        }

        @Test
        void chatsAskForLogprobsWithAFlag() {
            String chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],";
            assertThat(value(chat + "\"logprobs\":true}").getLogprobs()).isZero();
            assertThat(value(chat + "\"logprobs\":false}").getLogprobs()).isNull();
            assertThat(value(chat + "\"logprobs\":true,\"top_logprobs\":4}").getLogprobs())
                    .isEqualTo(4);
            assertThat(value("{\"prompt\":\"x\",\"logprobs\":2}").getLogprobs()).isEqualTo(2);
        }

        @Test
        void metadataOfAnyKindIsKeptAsText() {
            assertThat(value("{\"metadata\":{\"a\":\"x\",\"b\":1,\"c\":{\"d\":[]}}}")
                            .getMetadata())
                    .isEqualTo(Map.of("a", "x", "b", "1", "c", "{\"d\":[]}"));
        }

        @Test
        void neutralValuesOfFieldsThatAreNotServedPass() {
            value(
                    "{\"prompt\":\"x\",\"best_of\":1,\"suffix\":\"\",\"response_format\":{\"type\":\"text\"},\"tools\":[],"
                            + "\"tool_choice\":\"none\",\"bad_words\":[],\"use_beam_search\":false,\"detokenize\":true,"
                            + "\"length_penalty\":1.0,\"allowed_token_ids\":null}");
        }

        @Test
        void unknownFieldsAreIgnoredUnlessStrict() {
            String json = "{\"prompt\":\"x\",\"colour\":\"blue\",\"deep\":{\"a\":[1,{}]}}";
            assertThat(value(json).getPrompt()).isEqualTo("x");
            Decoded.Refused<Prompt> refusal = refused(json, true);
            assertThat(refusal.code()).isEqualTo(WireCodes.INVALID_PARAM);
            assertThat(refusal.field()).isEqualTo("colour");
            assertThat(refused("{\"custom_id\":\"a\",\"extra\":1,\"body\":{\"prompt\":\"x\"}}", true)
                            .field())
                    .isEqualTo("extra");
            assertThat(refused("{\"" + CANARY + " text\":1}", true).message()).doesNotContain(CANARY);
        }

        @Test
        void strictModeTakesEverythingThatWeWrite() {
            byte[] bytes = WireFormat.of("json", WireOptions.defaults())
                    .encoder(RecordType.PROMPT, "t")
                    .encode(Samples.prompt());
            assertThat(decode(new String(bytes, StandardCharsets.UTF_8), true))
                    .isEqualTo(new Decoded.Value<>(Samples.prompt()));
            assertThat(decode("{\"prompt\":\"x\",\"stream_options\":{\"include_usage\":true},\"store\":false}", true))
                    .isInstanceOf(Decoded.Value.class);
        }
    }

    private record Case(String code, String field, String json) {}

    private static Case param(String field, String json) {
        return new Case(WireCodes.INVALID_PARAM, field, json);
    }

    private static final List<Case> BAD = List.of(
            param("max_tokens", "{\"max_tokens\":\"16\"}"),
            param("max_tokens", "{\"max_tokens\":16.5}"),
            param("max_tokens", "{\"max_tokens\":true}"),
            param("max_tokens", "{\"max_tokens\":9223372036854775808}"),
            param("max_tokens", "{\"max_tokens\":1e30}"),
            param("seed", "{\"seed\":1e999}"),
            param("temperature", "{\"temperature\":\"0.5\"}"),
            param("temperature", "{\"temperature\":[]}"),
            param("echo", "{\"echo\":1}"),
            param("echo", "{\"echo\":\"true\"}"),
            param("stream", "{\"stream\":{}}"),
            param("prompt", "{\"prompt\":7}"),
            param("prompt", "{\"prompt\":{}}"),
            param("prompt", "{\"prompt\":[\"a\",\"b\"]}"),
            param("prompt", "{\"prompt\":[[1],[2]]}"),
            param("prompt", "{\"prompt\":[1,\"a\"]}"),
            param("prompt", "{\"prompt\":[1.5]}"),
            param("prompt", "{\"prompt\":[4294967297]}"),
            param("prompt_token_ids", "{\"prompt_token_ids\":[2147483648]}"),
            param("prompt_token_ids", "{\"prompt_token_ids\":\"1\"}"),
            param("prompt_token_ids", "{\"prompt\":[1],\"prompt_token_ids\":[1]}"),
            param("messages", "{\"messages\":\"x\"}"),
            param("messages", "{\"messages\":[\"x\"]}"),
            param("messages.role", "{\"messages\":[{\"content\":\"x\"}]}"),
            param("messages.content", "{\"messages\":[{\"role\":\"user\"}]}"),
            param("messages.content", "{\"messages\":[{\"role\":\"user\",\"content\":null}]}"),
            param("messages.content", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}"),
            param("stop", "{\"stop\":5}"),
            param("stop", "{\"stop\":[5]}"),
            param("stop_token_ids", "{\"stop_token_ids\":[1.5]}"),
            param("logit_bias", "{\"logit_bias\":[]}"),
            param("logit_bias", "{\"logit_bias\":{\"a\":1}}"),
            param("logit_bias", "{\"logit_bias\":{\"99999999999\":1}}"),
            param("logit_bias", "{\"logit_bias\":{\"1\":\"1\"}}"),
            param("logprobs", "{\"prompt\":\"x\",\"logprobs\":true}"),
            param("logprobs", "{\"messages\":[],\"logprobs\":1}"),
            param("top_logprobs", "{\"prompt\":\"x\",\"top_logprobs\":1}"),
            param("top_logprobs", "{\"messages\":[],\"top_logprobs\":1}"),
            param("metadata", "{\"metadata\":[]}"),
            param("best_of", "{\"best_of\":2}"),
            param("tools", "{\"tools\":[{\"type\":\"function\"}]}"),
            param("response_format", "{\"response_format\":{\"type\":\"json_object\"}}"),
            param("structured_outputs", "{\"structured_outputs\":{\"regex\":\"(a+)+$\"}}"),
            param("guided_regex", "{\"guided_regex\":\"(a+)+$\"}"),
            param("chat_template", "{\"chat_template\":\"{{ 7 * 7 }}\"}"),
            param("bad_words", "{\"bad_words\":[\"x\"]}"),
            param("allowed_token_ids", "{\"allowed_token_ids\":[1]}"),
            param("prompt_logprobs", "{\"prompt_logprobs\":1}"),
            param("truncate_prompt_tokens", "{\"truncate_prompt_tokens\":5}"),
            param("suffix", "{\"suffix\":\"x\"}"),
            param("url", "{\"url\":\"/v1/embeddings\",\"body\":{\"prompt\":\"x\"}}"),
            param("url", "{\"url\":\"/v1/completions\",\"body\":{\"messages\":[]}}"),
            param("url", "{\"url\":\"/v1/chat/completions\",\"body\":{\"prompt\":\"x\"}}"),
            param("method", "{\"method\":\"GET\",\"body\":{\"prompt\":\"x\"}}"),
            param("custom_id", "{\"custom_id\":5,\"body\":{\"prompt\":\"x\"}}"),
            param("request_id", "{\"request_id\":5,\"prompt\":\"x\"}"),
            param("body", "{\"custom_id\":\"a\",\"body\":[]}"),
            new Case(WireCodes.BAD_JSON, "body", "{\"custom_id\":\"a\",\"body\":null}"),
            new Case(WireCodes.INVALID_UTF8, "prompt", "{\"prompt\":\"\\ud83d\"}"),
            new Case(WireCodes.INVALID_UTF8, "prompt", "{\"prompt\":\"\\ude00\\ud83d\"}"),
            new Case(WireCodes.INVALID_UTF8, "stop", "{\"stop\":[\"\\udfff\"]}"),
            new Case(
                    WireCodes.INVALID_UTF8,
                    "messages.content",
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}"));

    @TestFactory
    Stream<DynamicTest> wrongFieldsAreRefusedByName() {
        return BAD.stream()
                .map(bad -> DynamicTest.dynamicTest(bad.json, () -> {
                    Decoded.Refused<Prompt> refusal = refused(bad.json);
                    assertThat(refusal.code()).isEqualTo(bad.code);
                    assertThat(refusal.field()).isEqualTo(bad.field);
                    assertThat(refusal.message()).matches("Cannot decode prompt: expected .+, got .+\\. [A-Z].+\\.");
                }));
    }

    @Test
    void refusalCarriesTheIdWhereItCanBeRead() {
        assertThat(refused("{\"body\":{\"max_tokens\":\"x\"},\"custom_id\":\"a\"}")
                        .id())
                .isEqualTo("a");
        assertThat(refused("{\"max_tokens\":\"x\",\"request_id\":\"b\"}").id()).isEqualTo("b");
        assertThat(refused("{\"max_tokens\":\"x\"}").id()).isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                " ",
                "nonsense",
                "null",
                "[]",
                "\"" + CANARY + "\"",
                "42",
                "{",
                "{\"prompt\":\"" + CANARY,
                "{\"prompt\":\"" + CANARY + "\"} {\"prompt\":\"b\"}",
                "{\"prompt\":" + CANARY + "}",
                "{prompt:\"x\"}",
                "{'prompt':'x'}",
                "{\"prompt\":\"x\",}",
                "{\"temperature\":NaN}",
                "{\"temperature\":Infinity}",
                "{\"temperature\":.5}",
                "{\"max_tokens\":01}",
                "{\"prompt\":\"a\",\"prompt\":\"b\"}",
                "{\"prompt\":\"a\tb\"}",
                "// comment\n{\"prompt\":\"x\"}",
                "{\"seed\":11111111111111111111111111111111111111111111111111111111111111111}"
            })
    void otherTextIsBadJsonAndIsNotQuoted(String text) {
        Decoded.Refused<Prompt> refusal = refused(text);
        assertThat(refusal.code()).isEqualTo(WireCodes.BAD_JSON);
        assertThat(refusal.message()).doesNotContain(CANARY);
    }

    @Test
    void damagedUtf8IsFoundAnywhere() {
        byte[] bytes = "{\"colour\":\"x\",\"prompt\":\"x\"}".getBytes(StandardCharsets.UTF_8);
        bytes[11] = (byte) 0x80;
        Decoded<Prompt> decoded = WireFormat.of("json", WireOptions.defaults())
                .decoder(RecordType.PROMPT)
                .decode(bytes);
        assertThat(((Decoded.Refused<Prompt>) decoded).code()).isEqualTo(WireCodes.INVALID_UTF8);
    }

    @Test
    void bombsAreBadJsonAndStaySmall() {
        int most = 1 << 20;
        for (String bomb : List.of(
                "[".repeat(most),
                "{\"a\":".repeat(most / 5),
                "{\"prompt\":[" + "0,".repeat(most / 2 - 20) + "0]}",
                "{\"a\":[" + "{},".repeat(most / 3 - 20) + "{}]}",
                "{\"" + "n".repeat(most - 20) + "\":1}")) {
            long before = Allocations.now();
            Decoded.Refused<Prompt> refusal = refused(bomb);
            assertThat(Allocations.now() - before).isLessThan(64 << 20);
            assertThat(refusal.code()).isEqualTo(WireCodes.BAD_JSON);
        }
    }
}
