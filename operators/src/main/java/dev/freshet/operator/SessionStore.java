package dev.freshet.operator;

import org.jspecify.annotations.Nullable;

/** Where sessions lie between two turns. Confined to the task thread. */
interface SessionStore {

    /** Returns a session, or null for one that never was or is forgotten. */
    @Nullable
    Conversation get(String session);

    /** Keeps a session after a turn; others may be forgotten for it. */
    void put(String session, Conversation conversation);

    /** Forgets a session. */
    void remove(String session);
}
