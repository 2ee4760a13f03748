package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Failure;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Percentiles;
import dev.freshet.schema.TokenChunk;
import dev.freshet.schema.TokenLogprob;
import dev.freshet.schema.TopLogprob;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.avro.specific.SpecificRecord;
import org.junit.jupiter.api.Test;

/** The JSON of answers in the shapes that OpenAI's and vLLM's clients read. */
class AnswerJsonTest {

    private static final WireFormat JSON = WireFormat.of("json", WireOptions.defaults());

    private static <T extends SpecificRecord> JsonNode written(RecordType<T> type, T value) throws IOException {
        return JsonText.MAPPER.readTree(JSON.encoder(type, "t").encode(value));
    }

    private static JsonNode tree(String json) throws IOException {
        return JsonText.MAPPER.readTree(json.replace('\'', '"'));
    }

    private static Completion completion() {
        return Completion.newBuilder()
                .setId("a")
                .setText("hi")
                .setFinishReason("stop")
                .build();
    }

    @Test
    void completionIsABatchOutputLine() throws IOException {
        JsonNode line = written(RecordType.COMPLETION, completion());
        assertThat(line.get("custom_id").textValue()).isEqualTo("a");
        assertThat(line.get("error").isNull()).isTrue();
        JsonNode response = line.get("response");
        assertThat(response.get("status_code").intValue()).isEqualTo(200);
        assertThat(response.get("request_id").textValue()).isEqualTo("a");
        JsonNode body = response.get("body");
        assertThat(body.get("id").textValue()).isEqualTo("cmpl-a");
        assertThat(body.get("object").textValue()).isEqualTo("text_completion");
        assertThat(body.get("choices"))
                .isEqualTo(tree("[{'index':0,'text':'hi','logprobs':null,'finish_reason':'stop','stop_reason':null}]"));
    }

    @Test
    void chatCompletionHasAMessage() throws IOException {
        Completion c = completion();
        c.setChat(true);
        c.setStopReason(7);
        JsonNode body = written(RecordType.COMPLETION, c).get("response").get("body");
        assertThat(body.get("id").textValue()).isEqualTo("chatcmpl-a");
        assertThat(body.get("object").textValue()).isEqualTo("chat.completion");
        assertThat(body.get("choices"))
                .isEqualTo(tree("[{'index':0,'message':{'role':'assistant','content':'hi'},'logprobs':null,"
                        + "'finish_reason':'stop','stop_reason':7}]"));
    }

    @Test
    void errorHasStatusAndCode() throws IOException {
        Completion c = completion();
        c.setFinishReason("error");
        c.setError(new Failure("INVALID_PARAM", "top_p", "Cannot serve request a: expected, got. Do.", 400));
        JsonNode line = written(RecordType.COMPLETION, c);
        assertThat(line.get("response").get("status_code").intValue()).isEqualTo(400);
        assertThat(line.get("error"))
                .isEqualTo(tree("{'code':'INVALID_PARAM','message':'Cannot serve request a: expected, got. Do.',"
                        + "'param':'top_p'}"));
    }

    @Test
    void usageHasATotal() throws IOException {
        JsonNode body = written(RecordType.COMPLETION, Samples.completion())
                .get("response")
                .get("body");
        assertThat(body.get("usage"))
                .isEqualTo(tree("{'prompt_tokens':12,'completion_tokens':3,'total_tokens':15,"
                        + "'prompt_tokens_details':{'cached_tokens':4}}"));
    }

    @Test
    void logprobsOfCompletionsCountOffsetsInCharacters() throws IOException {
        Completion c = completion();
        c.setLogprobs(List.of(
                new TokenLogprob("\uD83D\uDE00", 5, -0.5, List.of(new TopLogprob("\uD83D\uDE00", 5, -0.5))),
                new TokenLogprob("b", 6, Double.NEGATIVE_INFINITY, List.of())));
        JsonNode logprobs =
                written(RecordType.COMPLETION, c).at("/response/body/choices/0").get("logprobs");
        assertThat(logprobs.toString())
                .isEqualTo(tree("{'tokens':['\uD83D\uDE00','b'],'token_ids':[5,6],'token_logprobs':[-0.5,-9999.0],"
                                + "'top_logprobs':[{'\uD83D\uDE00':-0.5},{}],'top_token_ids':[[5],[]],'text_offset':[0,1]}")
                        .toString());
    }

    @Test
    void alternativesOfTheSameTextAreKeptApart() throws IOException {
        Completion c = completion();
        c.setLogprobs(List.of(new TokenLogprob(
                "\uFFFD", 1, -1.0, List.of(new TopLogprob("\uFFFD", 1, -1.0), new TopLogprob("\uFFFD", 2, -2.0)))));
        assertThat(written(RecordType.COMPLETION, c).at("/response/body/choices/0/logprobs/top_logprobs/0"))
                .isEqualTo(tree("{'\uFFFD':-1.0,'token_id:2':-2.0}"));
    }

    @Test
    void logprobsOfChatsNameBytes() throws IOException {
        Completion c = completion();
        c.setChat(true);
        c.setLogprobs(List.of(new TokenLogprob("é", 5, -0.5, List.of())));
        assertThat(written(RecordType.COMPLETION, c)
                        .at("/response/body/choices/0/logprobs")
                        .toString())
                .isEqualTo(
                        tree("{'content':[{'token':'é','token_id':5,'logprob':-0.5,'bytes':[195,169],'top_logprobs':[]}]}")
                                .toString());
    }

    @Test
    void halfSurrogatePairsAndNonFiniteNumbersStillGiveJson() throws IOException {
        Completion c = Samples.completion();
        c.setText("a\uD83D");
        c.getMetrics().setMeanItlMs(Double.NaN);
        JsonNode body = written(RecordType.COMPLETION, c).get("response").get("body");
        assertThat(body.at("/choices/0/message/content").textValue()).isEqualTo("a\uFFFD");
        assertThat(body.get("metrics").has("mean_itl_ms")).isFalse();
    }

    @Test
    void chunksAreStreamObjects() throws IOException {
        TokenChunk first = TokenChunk.newBuilder()
                .setId("a")
                .setIndex(0)
                .setTokenOffset(0)
                .setText("h")
                .setTokenIds(List.of(3))
                .setChat(true)
                .build();
        JsonNode chat = written(RecordType.TOKEN_CHUNK, first);
        assertThat(chat.get("object").textValue()).isEqualTo("chat.completion.chunk");
        assertThat(chat.at("/choices/0"))
                .isEqualTo(tree("{'index':0,'delta':{'role':'assistant','content':'h'},'logprobs':null,"
                        + "'finish_reason':null,'stop_reason':null,'token_ids':[3]}"));
        first.setChat(false);
        JsonNode text = written(RecordType.TOKEN_CHUNK, first);
        assertThat(text.get("object").textValue()).isEqualTo("text_completion");
        assertThat(text.at("/choices/0/text").textValue()).isEqualTo("h");
        assertThat(text.has("usage")).isFalse();
    }

    @Test
    void metricsAreFlat() throws IOException {
        JsonNode json = written(RecordType.METRIC, Samples.metric());
        assertThat(json.properties()).allMatch(e -> e.getValue().isValueNode());
        assertThat(json.get("freshet:num_requests_running").intValue()).isEqualTo(8);
        assertThat(json.get("freshet:time_to_first_token_seconds_p99").doubleValue())
                .isEqualTo(0.03);
        assertThat(json.get("model_name").textValue()).isEqualTo("stories");
    }

    @Test
    void quantilesThatAreNoNumbersAreLeftOut() throws IOException {
        Metric metric = Samples.metric();
        metric.setE2eRequestLatencySeconds(new Percentiles(1.0, Double.NaN, 2.0));
        JsonNode json = written(RecordType.METRIC, metric);
        assertThat(json.has("freshet:e2e_request_latency_seconds_p90")).isFalse();
        assertThat(json.has("freshet:e2e_request_latency_seconds_p50")).isTrue();
    }

    @Test
    void damagedAnswersAreRefusedWithTheirField() {
        assertRefused(RecordType.COMPLETION, "{'custom_id':'a'}", "response");
        assertRefused(RecordType.COMPLETION, "{'custom_id':'a','response':{}}", "response.body");
        assertRefused(RecordType.COMPLETION, "{'response':{'body':{}}}", "custom_id");
        assertRefused(
                RecordType.COMPLETION,
                "{'custom_id':'a','response':{'body':{'object':'text_completion','choices':[]}}}",
                "choices");
        assertRefused(
                RecordType.COMPLETION,
                "{'custom_id':'a','response':{'body':{'object':'text_completion','choices':[{'finish_reason':'stop',"
                        + "'logprobs':{'tokens':['a']}}]}}}",
                "token_ids");
        assertRefused(RecordType.TOKEN_CHUNK, "{'custom_id':'a','object':'text_completion'}", "choices");
        assertRefused(RecordType.METRIC, "{'kind':'interval'}", "timestamp_ms");
        assertRefused(RecordType.METRIC, "{'kind':'interval','timestamp_ms':'now'}", "timestamp_ms");
    }

    private static void assertRefused(RecordType<?> type, String json, String field) {
        Decoded<?> decoded = JSON.decoder(type).decode(json.replace('\'', '"').getBytes(StandardCharsets.UTF_8));
        assertThat(decoded).as(json).isInstanceOf(Decoded.Refused.class);
        assertThat(((Decoded.Refused<?>) decoded).field()).as(json).isEqualTo(field);
    }
}
