package dev.freshet.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Failure;
import dev.freshet.schema.RequestMetrics;
import dev.freshet.wire.JsonText.Bad;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The outcome of a request as a line of an OpenAI batch output file, in the shape of a completion or of a chat completion.
 * Additions of ours stand beside the standard fields under names of their own.
 */
final class CompletionJson {

    private static final int OK = 200;
    private static final String LINE_PREFIX = "batch_req_";
    private static final String CHAT_PREFIX = "chatcmpl-";
    private static final String TEXT_PREFIX = "cmpl-";

    private CompletionJson() {}

    static byte[] write(Completion c) {
        ObjectNode line = JsonText.MAPPER.createObjectNode();
        JsonOut.put(line, "id", LINE_PREFIX + c.getId());
        JsonOut.put(line, "custom_id", c.getId());
        Failure error = c.getError();
        ObjectNode response = line.putObject("response");
        response.put("status_code", error == null ? OK : error.getStatus());
        JsonOut.put(response, "request_id", c.getId());
        writeBody(response.putObject("body"), c);
        if (error == null) {
            line.putNull("error");
        } else {
            ObjectNode node = line.putObject("error");
            JsonOut.put(node, "code", error.getCode());
            JsonOut.put(node, "message", error.getMessage());
            JsonOut.put(node, "param", error.getField());
        }
        return JsonText.bytes(line);
    }

    private static void writeBody(ObjectNode body, Completion c) {
        JsonOut.put(body, "id", idPrefix(c.getChat()) + c.getId());
        body.put("object", c.getChat() ? "chat.completion" : "text_completion").put("created", c.getCreated());
        JsonOut.put(body, "model", c.getModel());
        JsonOut.put(body, "system_fingerprint", c.getModelFingerprint());
        writeChoice(body.putArray("choices").addObject(), c);
        UsageJson.write(body, c.getUsage());
        writeMetrics(body, c.getMetrics());
        JsonOut.put(body, "backend", c.getBackend());
        JsonOut.put(body, "seed", c.getSeed());
        if (c.getSourceTopic() != null || c.getSourcePartition() != null || c.getSourceOffset() != null) {
            ObjectNode source = body.putObject("source");
            JsonOut.put(source, "topic", c.getSourceTopic());
            JsonOut.put(source, "partition", c.getSourcePartition());
            JsonOut.put(source, "offset", c.getSourceOffset());
        }
    }

    private static void writeChoice(ObjectNode choice, Completion c) {
        choice.put("index", 0);
        if (c.getChat()) {
            ObjectNode message = choice.putObject("message").put("role", "assistant");
            JsonOut.put(message, "content", c.getText());
        } else {
            JsonOut.put(choice, "text", c.getText());
        }
        LogprobsJson.write(choice, c.getChat(), c.getLogprobs());
        JsonOut.put(choice, "finish_reason", c.getFinishReason());
        JsonOut.putStopReason(choice, c.getStopReason());
        List<Integer> ids = c.getTokenIds();
        if (ids != null) {
            ArrayNode array = choice.putArray("token_ids");
            ids.forEach(array::add);
        }
    }

    private static void writeMetrics(ObjectNode body, @Nullable RequestMetrics m) {
        if (m == null) {
            return;
        }
        ObjectNode node = body.putObject("metrics");
        JsonOut.put(node, "time_to_first_token_ms", m.getTimeToFirstTokenMs());
        JsonOut.put(node, "generation_time_ms", m.getGenerationTimeMs());
        JsonOut.put(node, "queue_time_ms", m.getQueueTimeMs());
        JsonOut.put(node, "mean_itl_ms", m.getMeanItlMs());
        JsonOut.put(node, "tokens_per_second", m.getTokensPerSecond());
        node.put("spec_num_drafts", m.getSpecNumDrafts())
                .put("spec_num_draft_tokens", m.getSpecNumDraftTokens())
                .put("spec_num_accepted_tokens", m.getSpecNumAcceptedTokens())
                .put("resumed_from_checkpoint", m.getResumedFromCheckpoint())
                .put("recomputed_tokens", m.getRecomputedTokens());
    }

    static String idPrefix(boolean chat) {
        return chat ? CHAT_PREFIX : TEXT_PREFIX;
    }

    static Decoded<Completion> read(byte[] bytes) {
        try {
            JsonFields line = new JsonFields(JsonText.object(bytes));
            JsonFields response = required(line.object("response"), "response");
            JsonFields body = required(response.object("body"), "response.body");
            Completion c = new Completion();
            c.setId(requiredText(line, "custom_id"));
            c.setChat(requiredText(body, "object").equals("chat.completion"));
            c.setCreated(body.integer("created", 0));
            c.setModel(body.text("model", ""));
            c.setModelFingerprint(body.text("system_fingerprint", ""));
            readChoice(onlyChoice(body), c);
            c.setUsage(UsageJson.read(body));
            c.setMetrics(readMetrics(body));
            c.setBackend(body.text("backend", ""));
            c.setSeed(body.integer("seed"));
            JsonFields source = body.object("source");
            if (source != null) {
                c.setSourceTopic(source.text("topic"));
                c.setSourcePartition(source.int32("partition"));
                c.setSourceOffset(source.integer("offset"));
            }
            c.setError(readError(line, response));
            return new Decoded.Value<>(c);
        } catch (Bad e) {
            return new Decoded.Refused<>(
                    e.code(), e.field(), "Cannot decode completion: " + e.getMessage(), null, null);
        }
    }

    private static void readChoice(JsonFields choice, Completion c) throws Bad {
        JsonFields message = choice.object("message");
        c.setText(message == null ? choice.text("text", "") : message.text("content", ""));
        c.setLogprobs(LogprobsJson.read(choice));
        c.setFinishReason(requiredText(choice, "finish_reason"));
        c.setStopReason(UsageJson.stopReason(choice));
        c.setTokenIds(choice.int32s("token_ids"));
    }

    private static @Nullable RequestMetrics readMetrics(JsonFields body) throws Bad {
        JsonFields m = body.object("metrics");
        if (m == null) {
            return null;
        }
        return new RequestMetrics(
                m.number("time_to_first_token_ms"),
                m.number("generation_time_ms"),
                m.number("queue_time_ms"),
                m.number("mean_itl_ms"),
                m.number("tokens_per_second"),
                m.integer("spec_num_drafts", 0),
                m.integer("spec_num_draft_tokens", 0),
                m.integer("spec_num_accepted_tokens", 0),
                m.integer("resumed_from_checkpoint", 0),
                m.integer("recomputed_tokens", 0));
    }

    private static @Nullable Failure readError(JsonFields line, JsonFields response) throws Bad {
        JsonFields error = line.object("error");
        Integer status = response.int32("status_code");
        if (error == null) {
            return null;
        }
        return new Failure(
                requiredText(error, "code"),
                error.text("param"),
                error.text("message", ""),
                status == null ? 500 : status);
    }

    /** Returns the one choice that a body has. */
    static JsonFields onlyChoice(JsonFields body) throws Bad {
        List<JsonNode> choices = body.list("choices");
        if (choices == null || choices.size() != 1 || !(choices.get(0) instanceof ObjectNode choice)) {
            throw new Bad(
                    WireCodes.INVALID_PARAM, "choices", "expected one choice, got another number. Correct the record.");
        }
        return new JsonFields(choice);
    }

    static String requiredText(JsonFields fields, String name) throws Bad {
        String value = fields.text(name);
        if (value == null) {
            throw missing(name);
        }
        return value;
    }

    private static JsonFields required(@Nullable JsonFields fields, String name) throws Bad {
        if (fields == null) {
            throw missing(name);
        }
        return fields;
    }

    static Bad missing(String name) {
        return new Bad(WireCodes.INVALID_PARAM, name, "expected " + name + ", got nothing. Add the field.");
    }
}
