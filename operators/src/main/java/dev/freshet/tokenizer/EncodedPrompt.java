package dev.freshet.tokenizer;

import dev.freshet.request.RequestError;

/** A prompt in tokens, or the reason why there is none. */
public sealed interface EncodedPrompt {

    /**
     * The tokens to begin with.
     *
     * @param ids [n] token ids
     */
    record Tokens(int[] ids) implements EncodedPrompt {}

    /**
     * The prompt cannot be encoded.
     *
     * @param error why
     */
    record Refused(RequestError error) implements EncodedPrompt {}
}
