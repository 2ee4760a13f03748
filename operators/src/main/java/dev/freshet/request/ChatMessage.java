package dev.freshet.request;

/**
 * One turn of a conversation. Immutable.
 *
 * @param role {@code system}, {@code user} or {@code assistant}
 * @param content the text of the turn
 */
public record ChatMessage(String role, String content) {}
