package dev.freshet.tokenizer;

import dev.freshet.request.ChatMessage;
import dev.freshet.request.ConfigError;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The built-in ways to turn a conversation into a prompt that asks for the assistant's next turn. A format is chosen by its id;
 * templates from model files are never run. Control tokens go in by id and everything else as text, so that no message can open or
 * close a turn.
 */
public enum ChatFormat {
    /** The contents, joined by line feeds, as an ordinary prompt; for models without chat training. */
    PLAIN("plain"),
    /** {@code <|im_start|>role ... <|im_end|>}, as in the format of that name. */
    CHATML("chatml", ChatFormat.IM_START, ChatFormat.IM_END),
    /** {@code [INST] <<SYS>> ... [/INST]}, as in Meta's reference code for Llama 2. */
    LLAMA2("llama2", ChatFormat.BOS, ChatFormat.EOS),
    /** {@code <|start_header_id|>role<|end_header_id|> ... <|eot_id|>}, as in Meta's model card for Llama 3. */
    LLAMA3("llama3", ChatFormat.BEGIN_OF_TEXT, ChatFormat.START_HEADER, ChatFormat.END_HEADER, ChatFormat.EOT);

    /** Every control token of a format, to be kept out of text whatever the tokenizer says about it. */
    static final Set<String> CONTROL_TOKENS =
            Arrays.stream(values()).flatMap(format -> format.control.stream()).collect(Collectors.toUnmodifiableSet());

    private static final String IM_START = "<|im_start|>";
    private static final String IM_END = "<|im_end|>";
    private static final String BOS = "<s>";
    private static final String EOS = "</s>";
    private static final String BEGIN_OF_TEXT = "<|begin_of_text|>";
    private static final String START_HEADER = "<|start_header_id|>";
    private static final String END_HEADER = "<|end_header_id|>";
    private static final String EOT = "<|eot_id|>";

    private static final Set<String> ROLES = Set.of("system", "user", "assistant");
    private static final List<String> LLAMA2_TAGS = List.of("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>");

    private final String id;
    private final List<String> control;

    ChatFormat(String id, String... control) {
        this.id = id;
        this.control = List.of(control);
    }

    /** A stretch of a rendered conversation: one control token, or text that is encoded as text. */
    record Part(boolean isControl, String text) {}

    /** What requests and options call the format. */
    public String id() {
        return id;
    }

    /** The ids of all formats. */
    public static List<String> ids() {
        return Arrays.stream(values()).map(ChatFormat::id).toList();
    }

    /** Finds a format by its id. */
    public static Optional<ChatFormat> find(String id) {
        return Arrays.stream(values()).filter(format -> format.id.equals(id)).findFirst();
    }

    /** The error of a request that asks for a format that {@link #find} does not know. */
    public static RequestError unknown() {
        return new RequestError(
                ErrorCode.UNKNOWN_CHAT_FORMAT,
                "chat_format",
                "Cannot render messages: expected a chat format of " + String.join(", ", ids())
                        + ", got another one. Choose one of these.");
    }

    /**
     * Finds the format of a configuration and checks that a tokenizer has its tokens.
     *
     * @throws ConfigError when the id is unknown or a token is missing
     */
    public static ChatFormat require(String id, Tokenizer tokenizer) {
        ChatFormat format = find(id).orElseThrow(() -> new ConfigError("Cannot use chat format: expected one of "
                + String.join(", ", ids()) + ", got " + TokenizerError.shown(id) + ". Choose one of these."));
        RequestError missing = format.missingToken(tokenizer);
        if (missing != null) {
            throw new ConfigError(missing.message());
        }
        return format;
    }

    /** Why this format cannot be used with a tokenizer, or null when it can. */
    public @Nullable RequestError missingToken(Tokenizer tokenizer) {
        for (String token : control) {
            if (tokenizer.idOf(token).isEmpty()) {
                return new RequestError(
                        ErrorCode.UNKNOWN_CHAT_FORMAT,
                        "chat_format",
                        "Cannot use chat format " + id + ": expected token " + token
                                + " in the vocabulary, got none. Use the format that the model was trained with, or plain.");
            }
        }
        return null;
    }

    /** Ids of the tokens with which the model ends its turn in this format; those of them that the tokenizer has. */
    public int[] endTokens(Tokenizer tokenizer) {
        String end =
                switch (this) {
                    case PLAIN -> "";
                    case CHATML -> IM_END;
                    case LLAMA2 -> EOS;
                    case LLAMA3 -> EOT;
                };
        OptionalInt found = end.isEmpty() ? OptionalInt.empty() : tokenizer.idOf(end);
        return found.stream().toArray();
    }

    /** Encodes a conversation up to the place where the assistant speaks. */
    public EncodedPrompt encode(List<ChatMessage> messages, Tokenizer tokenizer) {
        return encode(messages, tokenizer, false);
    }

    /** Encodes the messages that follow an answer of the assistant: the end of its turn, then theirs. */
    public EncodedPrompt encodeNext(List<ChatMessage> messages, Tokenizer tokenizer) {
        return encode(messages, tokenizer, true);
    }

    private EncodedPrompt encode(List<ChatMessage> messages, Tokenizer tokenizer, boolean next) {
        RequestError error = missingToken(tokenizer);
        if (error == null) {
            error = check(messages);
        }
        if (error != null) {
            return new EncodedPrompt.Refused(error);
        }
        IntStream.Builder ids = IntStream.builder();
        for (Part part : next ? renderNext(messages) : render(messages)) {
            if (part.isControl()) {
                tokenizer.idOf(part.text()).ifPresent(ids);
                continue;
            }
            if (part.text().length() > Tokenizer.MAX_CHARS) {
                return new EncodedPrompt.Refused(
                        Tokenizer.tooLong("messages", part.text().length()));
            }
            // The plain format is an ordinary prompt, with the begin-of-sequence token that the tokenizer puts there.
            int[] text = this == PLAIN && !next ? tokenizer.encode(part.text()) : tokenizer.encodeText(part.text());
            IntStream.of(text).forEach(ids);
        }
        return new EncodedPrompt.Tokens(ids.build().toArray());
    }

    private @Nullable RequestError check(List<ChatMessage> messages) {
        for (int i = 0; i < messages.size(); i++) {
            ChatMessage message = messages.get(i);
            if (!ROLES.contains(message.role())) {
                return refuse("roles system, user and assistant", "another role", i);
            }
            if (this == LLAMA2 && LLAMA2_TAGS.stream().anyMatch(message.content()::contains)) {
                return refuse("no " + String.join(", ", LLAMA2_TAGS) + " in a message of format llama2", "one", i);
            }
        }
        if (this == LLAMA2) {
            int first = !messages.isEmpty() && messages.get(0).role().equals("system") ? 1 : 0;
            for (int i = first; i < messages.size(); i++) {
                String expected = (i - first) % 2 == 0 ? "user" : "assistant";
                if (!messages.get(i).role().equals(expected)) {
                    return refuse("user and assistant in turns after at most one system message", "another order", i);
                }
            }
            if ((messages.size() - first) % 2 == 0) {
                return refuse("the last message from the user", "another role", messages.size() - 1);
            }
        }
        return messages.isEmpty() ? refuse("at least one message", "none", 0) : null;
    }

    private static RequestError refuse(String expected, String got, int index) {
        return new RequestError(
                ErrorCode.INVALID_PARAM,
                "messages",
                "Cannot render messages: expected " + expected + ", got " + got + " (messages[" + index
                        + "]). Change the message or the chat format.");
    }

    /** Lays a conversation out in the format; the messages have been checked. */
    List<Part> render(List<ChatMessage> messages) {
        List<Part> parts = new ArrayList<>();
        switch (this) {
            case PLAIN ->
                parts.add(text(messages.stream().map(ChatMessage::content).collect(Collectors.joining("\n"))));
            case CHATML -> renderChatml(messages, parts);
            case LLAMA2 -> renderLlama2(messages, parts);
            case LLAMA3 -> {
                parts.add(control(BEGIN_OF_TEXT));
                renderLlama3(messages, parts);
            }
        }
        return parts;
    }

    /** Lays out what follows an answer of the assistant, which ended before its closing token. */
    List<Part> renderNext(List<ChatMessage> messages) {
        List<Part> parts = new ArrayList<>();
        switch (this) {
            case PLAIN -> parts.add(text("\n" + render(messages).get(0).text()));
            case CHATML -> {
                parts.add(control(IM_END));
                parts.add(text("\n"));
                renderChatml(messages, parts);
            }
            case LLAMA2 -> {
                parts.add(control(EOS));
                renderLlama2(messages, parts);
            }
            case LLAMA3 -> {
                parts.add(control(EOT));
                renderLlama3(messages, parts);
            }
        }
        return parts;
    }

    private static void renderChatml(List<ChatMessage> messages, List<Part> parts) {
        for (ChatMessage message : messages) {
            parts.add(control(IM_START));
            parts.add(text(message.role() + "\n" + message.content()));
            parts.add(control(IM_END));
            parts.add(text("\n"));
        }
        parts.add(control(IM_START));
        parts.add(text("assistant\n"));
    }

    private static void renderLlama2(List<ChatMessage> messages, List<Part> parts) {
        String system = "";
        for (ChatMessage message : messages) {
            switch (message.role()) {
                case "system" -> system = "<<SYS>>\n" + message.content() + "\n<</SYS>>\n\n";
                case "user" -> {
                    parts.add(control(BOS));
                    parts.add(text("[INST] " + (system + message.content()).strip() + " [/INST]"));
                    system = "";
                }
                default -> {
                    Part question = parts.remove(parts.size() - 1);
                    parts.add(text(question.text() + " " + message.content().strip() + " "));
                    parts.add(control(EOS));
                }
            }
        }
    }

    private static void renderLlama3(List<ChatMessage> messages, List<Part> parts) {
        for (ChatMessage message : messages) {
            parts.add(control(START_HEADER));
            parts.add(text(message.role()));
            parts.add(control(END_HEADER));
            parts.add(text("\n\n" + message.content().strip()));
            parts.add(control(EOT));
        }
        parts.add(control(START_HEADER));
        parts.add(text("assistant"));
        parts.add(control(END_HEADER));
        parts.add(text("\n\n"));
    }

    private static Part control(String token) {
        return new Part(true, token);
    }

    private static Part text(String text) {
        return new Part(false, text);
    }
}
