package dev.freshet.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.schema.TokenLogprob;
import dev.freshet.schema.TopLogprob;
import dev.freshet.wire.JsonText.Bad;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * OpenAI's two shapes of log-probabilities, each with the token ids added. JSON has no infinities: a logarithm below -9999 is
 * written as -9999, as in vLLM. In the completions shape alternatives are named by their text, so of several with the same text
 * only the most probable keeps it, and the others are named {@code token_id:<id>}, as in vLLM.
 */
final class LogprobsJson {

    private static final double FLOOR = -9999;
    private static final String BY_ID = "token_id:";

    private LogprobsJson() {}

    static void write(ObjectNode choice, boolean chat, @Nullable List<TokenLogprob> logprobs) {
        if (logprobs == null) {
            choice.putNull("logprobs");
        } else if (chat) {
            writeChat(choice.putObject("logprobs").putArray("content"), logprobs);
        } else {
            writeText(choice.putObject("logprobs"), logprobs);
        }
    }

    private static void writeChat(ArrayNode content, List<TokenLogprob> logprobs) {
        for (TokenLogprob position : logprobs) {
            ObjectNode entry = content.addObject();
            writeToken(entry, position.getToken(), position.getTokenId(), position.getLogprob());
            ArrayNode top = entry.putArray("top_logprobs");
            for (TopLogprob t : position.getTopLogprobs()) {
                writeToken(top.addObject(), t.getToken(), t.getTokenId(), t.getLogprob());
            }
        }
    }

    private static void writeToken(ObjectNode entry, String token, int id, double logprob) {
        JsonOut.put(entry, "token", token);
        entry.put("token_id", id).put("logprob", floored(logprob));
        ArrayNode bytes = entry.putArray("bytes");
        for (byte b : Utf8Text.repaired(token).getBytes(StandardCharsets.UTF_8)) {
            bytes.add(b & 0xFF);
        }
    }

    private static void writeText(ObjectNode node, List<TokenLogprob> logprobs) {
        ArrayNode tokens = node.putArray("tokens");
        ArrayNode ids = node.putArray("token_ids");
        ArrayNode values = node.putArray("token_logprobs");
        ArrayNode top = node.putArray("top_logprobs");
        ArrayNode topIds = node.putArray("top_token_ids");
        ArrayNode offsets = node.putArray("text_offset");
        int offset = 0;
        for (TokenLogprob position : logprobs) {
            JsonOut.add(tokens, position.getToken());
            ids.add(position.getTokenId());
            values.add(floored(position.getLogprob()));
            offsets.add(offset);
            offset += position.getToken().codePointCount(0, position.getToken().length());
            ObjectNode entry = top.addObject();
            ArrayNode entryIds = topIds.addArray();
            for (TopLogprob t : position.getTopLogprobs()) {
                String name = Utf8Text.repaired(t.getToken());
                entry.put(entry.has(name) ? BY_ID + t.getTokenId() : name, floored(t.getLogprob()));
                entryIds.add(t.getTokenId());
            }
        }
    }

    private static double floored(double logprob) {
        return logprob >= FLOOR ? logprob : FLOOR;
    }

    static @Nullable List<TokenLogprob> read(JsonFields choice) throws Bad {
        JsonFields node = choice.object("logprobs");
        if (node == null) {
            return null;
        }
        List<JsonNode> content = node.list("content");
        return content == null ? readText(node) : readChat(content);
    }

    private static List<TokenLogprob> readChat(List<JsonNode> content) throws Bad {
        List<TokenLogprob> all = new ArrayList<>(content.size());
        for (JsonNode entry : content) {
            List<TopLogprob> top = new ArrayList<>();
            for (JsonNode t : JsonFields.elements(entry.path("top_logprobs"), "top_logprobs")) {
                top.add(new TopLogprob(token(t), tokenId(t), logprob(t)));
            }
            all.add(new TokenLogprob(token(entry), tokenId(entry), logprob(entry), top));
        }
        return all;
    }

    private static String token(JsonNode entry) throws Bad {
        return JsonFields.textOf(entry.path("token"), "token");
    }

    private static int tokenId(JsonNode entry) throws Bad {
        return JsonFields.int32Of(entry.path("token_id"), "token_id");
    }

    private static double logprob(JsonNode entry) throws Bad {
        return JsonFields.numberOf(entry.path("logprob"), "logprob");
    }

    private static List<TokenLogprob> readText(JsonFields node) throws Bad {
        List<JsonNode> tokens = column(node, "tokens", -1);
        List<JsonNode> ids = column(node, "token_ids", tokens.size());
        List<JsonNode> values = column(node, "token_logprobs", tokens.size());
        List<JsonNode> top = column(node, "top_logprobs", tokens.size());
        List<JsonNode> topIds = column(node, "top_token_ids", tokens.size());
        List<TokenLogprob> all = new ArrayList<>(tokens.size());
        for (int i = 0; i < tokens.size(); i++) {
            all.add(new TokenLogprob(
                    JsonFields.textOf(tokens.get(i), "tokens"),
                    JsonFields.int32Of(ids.get(i), "token_ids"),
                    JsonFields.numberOf(values.get(i), "token_logprobs"),
                    alternatives(top.get(i), JsonFields.int32sOf(topIds.get(i), "top_token_ids"))));
        }
        return all;
    }

    private static List<TopLogprob> alternatives(JsonNode top, List<Integer> ids) throws Bad {
        if (!top.isObject() || top.size() != ids.size()) {
            throw JsonFields.wrong("top_logprobs", "an object with as many names as ids", top);
        }
        List<TopLogprob> all = new ArrayList<>(ids.size());
        for (Map.Entry<String, JsonNode> t : top.properties()) {
            all.add(new TopLogprob(t.getKey(), ids.get(all.size()), JsonFields.numberOf(t.getValue(), "top_logprobs")));
        }
        return all;
    }

    private static List<JsonNode> column(JsonFields node, String name, int size) throws Bad {
        List<JsonNode> column = node.list(name);
        if (column == null || (size >= 0 && column.size() != size)) {
            throw new Bad(
                    WireCodes.INVALID_PARAM,
                    name,
                    "expected " + name + " with one entry for each token, got another number. Correct the record.");
        }
        return column;
    }
}
