package dev.freshet.operator;

import dev.freshet.engine.StopCondition;
import dev.freshet.request.PromptRequest;
import dev.freshet.request.RequestError;
import dev.freshet.request.SamplingParams;

/** The text side of a model: prompts to ids and ids to growing texts. Confined to the engine thread. */
public interface Texts {

    /** What became of a prompt. Immutable. */
    sealed interface Encoded permits Tokens, Refused {}

    /**
     * The prompt's tokens.
     *
     * @param ids [n] token ids
     * @param endTokens ids with which the model ends its turn in the request's chat format; empty without one
     */
    record Tokens(int[] ids, int[] endTokens) implements Encoded {}

    /**
     * Why the prompt has no tokens.
     *
     * @param error code, field and message
     */
    record Refused(RequestError error) implements Encoded {}

    /** Turns text or conversation into ids; a request with ids of its own gets them back. */
    Encoded encode(PromptRequest request);

    /**
     * Turns what is new in a conversation into ids: text without a begin-of-sequence token in front, messages with the end of the
     * assistant's turn before them.
     */
    Encoded encodeNext(PromptRequest request);

    /** Begins the text of a sequence that follows a prompt. */
    Growing begin(SamplingParams params, int[] prompt);

    /** Text of one token alone; replacement characters stand for bytes that are no text by themselves. */
    String piece(int token);

    /** Text of tokens, special ones left out; for the echo of a prompt that came as ids. */
    String decode(int[] ids);

    /** The text of one sequence, which grows with each accepted token and ends it at a stop string. */
    interface Growing extends StopCondition {

        /** Returns what has become certain since the last call: no half character, no beginning of a stop string. */
        String take();

        /** Ends the text and returns all of it, what {@link #take} still held back included. */
        String finish();
    }
}
