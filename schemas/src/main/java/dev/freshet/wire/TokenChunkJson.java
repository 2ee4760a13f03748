package dev.freshet.wire;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.schema.TokenChunk;
import dev.freshet.wire.JsonText.Bad;
import java.util.List;

/** A piece of a growing completion as an OpenAI stream object: {@code chat.completion.chunk}, or {@code text_completion}. */
final class TokenChunkJson {

    private static final String CHAT_OBJECT = "chat.completion.chunk";

    private TokenChunkJson() {}

    static byte[] write(TokenChunk c) {
        ObjectNode body = JsonText.MAPPER.createObjectNode();
        JsonOut.put(body, "id", CompletionJson.idPrefix(c.getChat()) + c.getId());
        body.put("object", c.getChat() ? CHAT_OBJECT : "text_completion").put("created", c.getCreated());
        JsonOut.put(body, "model", c.getModel());
        JsonOut.put(body, "custom_id", c.getId());
        body.put("chunk_index", c.getIndex()).put("token_offset", c.getTokenOffset());
        ObjectNode choice = body.putArray("choices").addObject().put("index", 0);
        if (c.getChat()) {
            ObjectNode delta = choice.putObject("delta");
            if (c.getIndex() == 0) {
                delta.put("role", "assistant");
            }
            JsonOut.put(delta, "content", c.getText());
        } else {
            JsonOut.put(choice, "text", c.getText());
        }
        choice.putNull("logprobs");
        JsonOut.putOrNull(choice, "finish_reason", c.getFinishReason());
        JsonOut.putStopReason(choice, c.getStopReason());
        ArrayNode ids = choice.putArray("token_ids");
        c.getTokenIds().forEach(ids::add);
        UsageJson.write(body, c.getUsage());
        return JsonText.bytes(body);
    }

    static Decoded<TokenChunk> read(byte[] bytes) {
        try {
            JsonFields body = new JsonFields(JsonText.object(bytes));
            JsonFields choice = CompletionJson.onlyChoice(body);
            JsonFields delta = choice.object("delta");
            List<Integer> ids = choice.int32s("token_ids");
            TokenChunk c = new TokenChunk();
            c.setId(CompletionJson.requiredText(body, "custom_id"));
            c.setIndex(body.integer("chunk_index", 0));
            c.setTokenOffset(body.integer("token_offset", 0));
            c.setText(delta == null ? choice.text("text", "") : delta.text("content", ""));
            c.setTokenIds(ids == null ? List.of() : ids);
            c.setFinishReason(choice.text("finish_reason"));
            c.setStopReason(UsageJson.stopReason(choice));
            c.setUsage(UsageJson.read(body));
            c.setModel(body.text("model", ""));
            c.setChat(CompletionJson.requiredText(body, "object").equals(CHAT_OBJECT));
            c.setCreated(body.integer("created", 0));
            return new Decoded.Value<>(c);
        } catch (Bad e) {
            return new Decoded.Refused<>(
                    e.code(), e.field(), "Cannot decode token chunk: " + e.getMessage(), null, null);
        }
    }
}
