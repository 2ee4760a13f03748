package dev.freshet.operator;

import dev.freshet.engine.Continuation;

/**
 * A session between two turns. Immutable.
 *
 * @param model fingerprint of the model that computed it
 * @param turns turns so far; 0 stands for a session that was stored and cannot be read
 * @param end where the last turn ended
 */
record Conversation(String model, int turns, Continuation end) {

    /** What is left of a session whose tokens are damaged. */
    static final Conversation UNREADABLE = new Conversation("", 0, Continuation.NOTHING);
}
