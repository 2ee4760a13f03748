package dev.freshet.operator;

import dev.freshet.engine.StopMatch;
import dev.freshet.request.PromptRequest;
import dev.freshet.request.SamplingParams;
import dev.freshet.tokenizer.ChatFormat;
import dev.freshet.tokenizer.EncodedPrompt;
import dev.freshet.tokenizer.TextStream;
import dev.freshet.tokenizer.Tokenizer;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Texts of a model directory's own tokenizer. Confined to the engine thread. */
public final class TokenizerTexts implements Texts {

    private static final int[] NONE = {};

    private final Tokenizer tokenizer;
    private final Set<Integer> endTokens;
    private final ChatFormat chatFormat;

    /**
     * Creates the texts of a model.
     *
     * @param endTokens ids that end a text
     * @param chatFormat format of conversations that name none
     */
    public TokenizerTexts(Tokenizer tokenizer, Set<Integer> endTokens, ChatFormat chatFormat) {
        this.tokenizer = tokenizer;
        this.endTokens = Set.copyOf(endTokens);
        this.chatFormat = chatFormat;
    }

    @Override
    public Encoded encode(PromptRequest request) {
        return encode(request, false);
    }

    @Override
    public Encoded encodeNext(PromptRequest request) {
        return encode(request, true);
    }

    private Encoded encode(PromptRequest request, boolean next) {
        int[] ids = request.promptTokenIds();
        if (ids != null) {
            return new Tokens(ids, NONE);
        }
        if (!request.chat()) {
            String text = request.prompt() == null ? "" : request.prompt();
            return encoded(next ? tokenizer.encodeNext(text) : tokenizer.encodePrompt(text), NONE);
        }
        Optional<ChatFormat> format =
                request.chatFormat() == null ? Optional.of(chatFormat) : ChatFormat.find(request.chatFormat());
        if (format.isEmpty()) {
            return new Refused(ChatFormat.unknown());
        }
        EncodedPrompt messages = next
                ? format.get().encodeNext(request.messages(), tokenizer)
                : format.get().encode(request.messages(), tokenizer);
        return encoded(messages, format.get().endTokens(tokenizer));
    }

    private static Encoded encoded(EncodedPrompt prompt, int[] ends) {
        return prompt instanceof EncodedPrompt.Tokens tokens
                ? new Tokens(tokens.ids(), ends)
                : new Refused(((EncodedPrompt.Refused) prompt).error());
    }

    @Override
    public Growing begin(SamplingParams params, int[] prompt) {
        Set<Integer> stops = new HashSet<>(params.stopTokenIds());
        if (!params.ignoreEos()) {
            stops.addAll(endTokens);
        }
        return new Stream(new TextStream(tokenizer, params, prompt, stops));
    }

    @Override
    public String piece(int token) {
        return tokenizer.decode(new int[] {token}, false);
    }

    @Override
    public String decode(int[] ids) {
        return tokenizer.decode(ids, true);
    }

    /** A text stream as the operator sees it. */
    private record Stream(TextStream stream) implements Growing {

        @Override
        public @Nullable StopMatch accept(int token) {
            return stream.accept(token);
        }

        @Override
        public String take() {
            return stream.drain();
        }

        @Override
        public String finish() {
            stream.finish();
            return stream.text();
        }
    }
}
