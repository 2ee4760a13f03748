package dev.freshet.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenBias;
import dev.freshet.wire.JsonText.Bad;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A request as JSON: a line of an OpenAI batch file, or its bare body. Fields that would change the answer and are not served
 * are refused unless they hold their neutral value; fields that nobody knows are ignored, or refused in strict mode.
 */
final class PromptJson {

    static final String CHAT_URL = "/v1/chat/completions";
    static final String TEXT_URL = "/v1/completions";

    /**
     * Fields that are not served, with the values (as JSON) at which they mean nothing; null and absence always do. Sorted, so
     * that a request with several is refused for the same one in every JVM.
     */
    private static final SortedMap<String, Set<String>> NOT_SERVED =
            Collections.unmodifiableSortedMap(new TreeMap<>(Map.ofEntries(
                    Map.entry("add_generation_prompt", Set.of("true")),
                    Map.entry("add_special_tokens", Set.of("true")),
                    Map.entry("allowed_token_ids", Set.of()),
                    Map.entry("audio", Set.of()),
                    Map.entry("bad_words", Set.of("[]")),
                    Map.entry("best_of", Set.of("1")),
                    Map.entry("chat_template", Set.of()),
                    Map.entry("continue_final_message", Set.of("false")),
                    Map.entry("detokenize", Set.of("true")),
                    Map.entry("documents", Set.of("[]")),
                    Map.entry("function_call", Set.of("\"none\"")),
                    Map.entry("functions", Set.of("[]")),
                    Map.entry("guided_choice", Set.of()),
                    Map.entry("guided_grammar", Set.of()),
                    Map.entry("guided_json", Set.of()),
                    Map.entry("guided_regex", Set.of()),
                    Map.entry("length_penalty", Set.of("1", "1.0")),
                    Map.entry("logits_processors", Set.of("[]")),
                    Map.entry("modalities", Set.of("[\"text\"]")),
                    Map.entry("prompt_embeds", Set.of()),
                    Map.entry("prompt_logprobs", Set.of()),
                    Map.entry("repetition_detection", Set.of()),
                    Map.entry("response_format", Set.of("{\"type\":\"text\"}")),
                    Map.entry("spaces_between_special_tokens", Set.of("true")),
                    Map.entry("structured_outputs", Set.of()),
                    Map.entry("suffix", Set.of("\"\"")),
                    Map.entry("tool_choice", Set.of("\"none\"", "\"auto\"")),
                    Map.entry("tools", Set.of("[]")),
                    Map.entry("truncate_prompt_tokens", Set.of()),
                    Map.entry("use_beam_search", Set.of("false")))));

    /** Fields that change no text: known, and not read. */
    private static final Set<String> NOT_READ = Set.of(
            "cache_salt",
            "parallel_tool_calls",
            "prompt_cache_key",
            "safety_identifier",
            "service_tier",
            "store",
            "stream_interval",
            "stream_options");

    private PromptJson() {}

    /** Decodes requests. */
    static LimitedDecoder.Body<Prompt> reader(boolean strict) {
        return bytes -> {
            ObjectNode root;
            try {
                root = JsonText.object(bytes);
            } catch (Bad e) {
                return refuse(e, null);
            }
            try {
                return new Decoded.Value<>(line(root, strict));
            } catch (Bad e) {
                return refuse(e, readableId(root));
            }
        };
    }

    private static Decoded<Prompt> refuse(Bad e, @Nullable String id) {
        return new Decoded.Refused<>(e.code(), e.field(), "Cannot decode prompt: " + e.getMessage(), id, null);
    }

    private static @Nullable String readableId(ObjectNode root) {
        for (JsonNode id :
                List.of(root.path("custom_id"), root.path("body").path("request_id"), root.path("request_id"))) {
            if (id.isTextual() && Utf8Text.wellFormed(id.textValue())) {
                return id.textValue();
            }
        }
        return null;
    }

    private static Prompt line(ObjectNode root, boolean strict) throws Bad {
        if (!root.has("body")) {
            JsonFields body = new JsonFields(root);
            return body(body, body.text("request_id"), null, strict);
        }
        JsonFields line = new JsonFields(root);
        String id = line.text("custom_id");
        String method = line.text("method", "POST");
        if (!method.equals("POST")) {
            throw new Bad(WireCodes.INVALID_PARAM, "method", "expected method POST, got another. Correct the line.");
        }
        String url = line.text("url");
        if (url != null && !url.equals(CHAT_URL) && !url.equals(TEXT_URL)) {
            throw new Bad(
                    WireCodes.INVALID_PARAM,
                    "url",
                    "expected url " + TEXT_URL + " or " + CHAT_URL + ", got another. Correct the line.");
        }
        JsonFields body = line.object("body");
        if (body == null) {
            throw new Bad(WireCodes.BAD_JSON, "body", "expected body to be an object, got null. Correct the line.");
        }
        if (strict) {
            line.requireNoOther();
        }
        String inner = body.text("request_id");
        return body(body, id == null ? inner : id, url, strict);
    }

    private static Prompt body(JsonFields body, @Nullable String id, @Nullable String url, boolean strict) throws Bad {
        Prompt p = new Prompt();
        p.setId(id);
        p.setModel(body.text("model"));
        readPrompt(body, p);
        boolean chat = p.getMessages() != null;
        if (url != null && chat != url.equals(CHAT_URL)) {
            throw new Bad(
                    WireCodes.INVALID_PARAM,
                    "url",
                    "expected " + (chat ? CHAT_URL + " for messages" : TEXT_URL + " for a prompt")
                            + ", got the other url. Correct the line.");
        }
        p.setChatFormat(body.text("chat_format"));
        p.setMaxTokens(body.integer("max_tokens"));
        p.setMaxCompletionTokens(body.integer("max_completion_tokens"));
        p.setMinTokens(body.integer("min_tokens"));
        p.setTemperature(body.number("temperature"));
        p.setTopP(body.number("top_p"));
        p.setTopK(body.integer("top_k"));
        p.setMinP(body.number("min_p"));
        p.setRepetitionPenalty(body.number("repetition_penalty"));
        p.setPresencePenalty(body.number("presence_penalty"));
        p.setFrequencyPenalty(body.number("frequency_penalty"));
        p.setLogitBias(logitBias(body));
        p.setStop(stop(body));
        List<Integer> stopIds = body.int32s("stop_token_ids");
        p.setStopTokenIds(stopIds == null ? List.of() : stopIds);
        p.setIgnoreEos(body.flag("ignore_eos", false));
        p.setIncludeStopStrInOutput(body.flag("include_stop_str_in_output", false));
        p.setSkipSpecialTokens(body.flag("skip_special_tokens", true));
        p.setLogprobs(logprobs(body, chat));
        p.setSeed(body.integer("seed"));
        p.setN(body.integer("n"));
        p.setSpeculative(body.text("speculative"));
        p.setEcho(body.flag("echo", false));
        p.setStream(body.flag("stream", false));
        p.setReturnTokenIds(body.flag("return_token_ids", false));
        p.setPriority(body.integer("priority", 0));
        p.setDeadlineMs(body.integer("deadline_ms"));
        p.setSessionId(body.text("session_id"));
        p.setSessionTurn(body.integer("session_turn"));
        p.setSessionEnd(body.flag("session_end", false));
        p.setUser(body.text("user"));
        p.setMetadata(metadata(body));
        refuseNotServed(body);
        body.ignore(NOT_READ);
        if (strict) {
            body.requireNoOther();
        }
        return p;
    }

    /** OpenAI's prompt is a string or a list of token ids, or a list of one of these. */
    private static void readPrompt(JsonFields body, Prompt p) throws Bad {
        p.setPromptTokenIds(body.int32s("prompt_token_ids"));
        p.setMessages(messages(body));
        JsonNode prompt = body.node("prompt");
        if (prompt == null) {
            return;
        }
        if (prompt.isArray() && prompt.size() == 1 && !prompt.get(0).isNumber()) {
            prompt = prompt.get(0);
        } else if (prompt.isArray() && prompt.size() > 1 && !prompt.get(0).isNumber()) {
            throw new Bad(
                    WireCodes.INVALID_PARAM,
                    "prompt",
                    "expected one prompt in a record, got " + prompt.size() + ". Send one record for each prompt.");
        }
        if (!prompt.isArray()) {
            p.setPrompt(JsonFields.textOf(prompt, "prompt"));
            return;
        }
        if (p.getPromptTokenIds() != null) {
            throw new Bad(
                    WireCodes.INVALID_PARAM,
                    "prompt_token_ids",
                    "expected token ids once, got them in prompt and in prompt_token_ids. Send one of the two.");
        }
        p.setPromptTokenIds(JsonFields.int32sOf(prompt, "prompt"));
    }

    private static @Nullable List<Message> messages(JsonFields body) throws Bad {
        List<JsonNode> nodes = body.list("messages");
        if (nodes == null) {
            return null;
        }
        List<Message> messages = new ArrayList<>(nodes.size());
        for (JsonNode node : nodes) {
            if (!(node instanceof ObjectNode object)) {
                throw JsonFields.wrong("messages", "a list of objects", node);
            }
            JsonNode role = object.path("role");
            JsonNode content = object.path("content");
            if (!role.isTextual()) {
                throw new Bad(
                        WireCodes.INVALID_PARAM,
                        "messages.role",
                        "expected a role in each message, got none. Add system, user or assistant.");
            }
            messages.add(new Message(JsonFields.textOf(role, "messages.role"), content(content)));
        }
        return messages;
    }

    /** The content of a message is a string, or a list of text parts, which are joined by line feeds as in vLLM. */
    private static String content(JsonNode content) throws Bad {
        if (!content.isArray()) {
            return JsonFields.textOf(content, "messages.content");
        }
        List<String> parts = new ArrayList<>(content.size());
        for (JsonNode part : content) {
            if (!part.path("type").asText().equals("text")) {
                throw new Bad(
                        WireCodes.INVALID_PARAM,
                        "messages.content",
                        "expected text in each message, got a part of another type. Send text alone.");
            }
            parts.add(JsonFields.textOf(part.path("text"), "messages.content"));
        }
        return String.join("\n", parts);
    }

    private static @Nullable List<TokenBias> logitBias(JsonFields body) throws Bad {
        JsonNode node = body.node("logit_bias");
        if (node == null) {
            return null;
        }
        if (!node.isObject()) {
            throw JsonFields.wrong("logit_bias", "an object of token ids", node);
        }
        List<TokenBias> all = new ArrayList<>(node.size());
        for (Map.Entry<String, JsonNode> e : node.properties()) {
            int token;
            try {
                token = Integer.parseInt(e.getKey());
            } catch (NumberFormatException notNumber) {
                throw new Bad(
                        WireCodes.INVALID_PARAM,
                        "logit_bias",
                        "expected token ids as the names in logit_bias, got another name. Correct the field.");
            }
            all.add(new TokenBias(token, JsonFields.numberOf(e.getValue(), "logit_bias")));
        }
        return all;
    }

    private static List<String> stop(JsonFields body) throws Bad {
        JsonNode node = body.node("stop");
        if (node == null) {
            return List.of();
        }
        if (node.isTextual()) {
            return List.of(JsonFields.textOf(node, "stop"));
        }
        List<String> all = new ArrayList<>();
        for (JsonNode each : JsonFields.elements(node, "stop")) {
            all.add(JsonFields.textOf(each, "stop"));
        }
        return all;
    }

    /** Completions ask with a number; chats ask with a flag, and with a number of its own. */
    private static @Nullable Long logprobs(JsonFields body, boolean chat) throws Bad {
        Long top = body.integer("top_logprobs");
        if (!chat) {
            Long number = body.integer("logprobs");
            if (top != null && !top.equals(number)) {
                throw new Bad(
                        WireCodes.INVALID_PARAM,
                        "top_logprobs",
                        "expected logprobs as a number for a prompt, got top_logprobs. Use logprobs.");
            }
            return number;
        }
        if (body.flag("logprobs", false)) {
            return top == null ? Long.valueOf(0) : top;
        }
        if (top != null && top != 0) {
            throw new Bad(
                    WireCodes.INVALID_PARAM,
                    "top_logprobs",
                    "expected logprobs to be true with top_logprobs, got false. Set logprobs.");
        }
        return null;
    }

    private static Map<String, String> metadata(JsonFields body) throws Bad {
        JsonNode node = body.node("metadata");
        if (node == null) {
            return Map.of();
        }
        if (!node.isObject()) {
            throw JsonFields.wrong("metadata", "an object", node);
        }
        Map<String, String> all = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> e : node.properties()) {
            String value = e.getValue().isTextual()
                    ? e.getValue().textValue()
                    : e.getValue().toString();
            all.put(Utf8Text.repaired(e.getKey()), Utf8Text.repaired(value));
        }
        return all;
    }

    private static void refuseNotServed(JsonFields body) throws Bad {
        for (Map.Entry<String, Set<String>> e : NOT_SERVED.entrySet()) {
            JsonNode value = body.node(e.getKey());
            if (value != null && !e.getValue().contains(value.toString())) {
                throw new Bad(
                        WireCodes.INVALID_PARAM,
                        e.getKey(),
                        "expected no " + e.getKey() + ", which is not served, got a value. Remove the field.");
            }
        }
    }
}
