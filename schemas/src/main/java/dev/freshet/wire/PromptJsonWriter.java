package dev.freshet.wire;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;

/** Writes a request as JSON: a line of an OpenAI batch file, or a bare body when it has no id. */
final class PromptJsonWriter {

    private PromptJsonWriter() {}

    static byte[] write(Prompt p) {
        ObjectNode body = JsonText.MAPPER.createObjectNode();
        boolean chat = p.getMessages() != null;
        JsonOut.put(body, "model", p.getModel());
        writePrompt(body, p);
        JsonOut.put(body, "chat_format", p.getChatFormat());
        JsonOut.put(body, "max_tokens", p.getMaxTokens());
        JsonOut.put(body, "max_completion_tokens", p.getMaxCompletionTokens());
        JsonOut.put(body, "min_tokens", p.getMinTokens());
        JsonOut.put(body, "temperature", p.getTemperature());
        JsonOut.put(body, "top_p", p.getTopP());
        JsonOut.put(body, "top_k", p.getTopK());
        JsonOut.put(body, "min_p", p.getMinP());
        JsonOut.put(body, "repetition_penalty", p.getRepetitionPenalty());
        JsonOut.put(body, "presence_penalty", p.getPresencePenalty());
        JsonOut.put(body, "frequency_penalty", p.getFrequencyPenalty());
        if (p.getLogitBias() != null) {
            ObjectNode bias = body.putObject("logit_bias");
            p.getLogitBias().forEach(b -> bias.put(Integer.toString(b.getTokenId()), b.getBias()));
        }
        if (!p.getStop().isEmpty()) {
            ArrayNode stop = body.putArray("stop");
            p.getStop().forEach(s -> stop.add(Utf8Text.repaired(s)));
        }
        if (!p.getStopTokenIds().isEmpty()) {
            p.getStopTokenIds().forEach(body.putArray("stop_token_ids")::add);
        }
        JsonOut.putUnless(body, "ignore_eos", p.getIgnoreEos(), false);
        JsonOut.putUnless(body, "include_stop_str_in_output", p.getIncludeStopStrInOutput(), false);
        JsonOut.putUnless(body, "skip_special_tokens", p.getSkipSpecialTokens(), true);
        if (chat && p.getLogprobs() != null) {
            body.put("logprobs", true).put("top_logprobs", p.getLogprobs());
        } else {
            JsonOut.put(body, "logprobs", p.getLogprobs());
        }
        JsonOut.put(body, "seed", p.getSeed());
        JsonOut.put(body, "n", p.getN());
        JsonOut.put(body, "speculative", p.getSpeculative());
        JsonOut.putUnless(body, "echo", p.getEcho(), false);
        JsonOut.putUnless(body, "stream", p.getStream(), false);
        JsonOut.putUnless(body, "return_token_ids", p.getReturnTokenIds(), false);
        if (p.getPriority() != 0) {
            body.put("priority", p.getPriority());
        }
        JsonOut.put(body, "deadline_ms", p.getDeadlineMs());
        JsonOut.put(body, "session_id", p.getSessionId());
        JsonOut.put(body, "session_turn", p.getSessionTurn());
        JsonOut.putUnless(body, "session_end", p.getSessionEnd(), false);
        JsonOut.put(body, "user", p.getUser());
        if (!p.getMetadata().isEmpty()) {
            ObjectNode metadata = body.putObject("metadata");
            p.getMetadata().forEach((k, v) -> metadata.put(Utf8Text.repaired(k), Utf8Text.repaired(v)));
        }
        if (p.getId() == null) {
            return JsonText.bytes(body);
        }
        ObjectNode line = JsonText.MAPPER.createObjectNode();
        JsonOut.put(line, "custom_id", p.getId());
        line.put("method", "POST")
                .put("url", chat ? PromptJson.CHAT_URL : PromptJson.TEXT_URL)
                .set("body", body);
        return JsonText.bytes(line);
    }

    private static void writePrompt(ObjectNode body, Prompt p) {
        JsonOut.put(body, "prompt", p.getPrompt());
        if (p.getMessages() != null) {
            ArrayNode messages = body.putArray("messages");
            for (Message m : p.getMessages()) {
                ObjectNode message = messages.addObject();
                JsonOut.put(message, "role", m.getRole());
                JsonOut.put(message, "content", m.getContent());
            }
        }
        if (p.getPromptTokenIds() != null) {
            p.getPromptTokenIds().forEach(body.putArray("prompt_token_ids")::add);
        }
    }
}
