package dev.freshet.request;

/**
 * The place of a request in a conversation. Immutable.
 *
 * @param id session to continue
 * @param number number that the turn must have in its session, from 1, or 0 for whatever turn comes
 * @param last whether the session is forgotten with the answer
 */
public record SessionTurn(String id, int number, boolean last) {}
