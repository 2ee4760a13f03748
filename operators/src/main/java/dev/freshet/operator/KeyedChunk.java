package dev.freshet.operator;

import dev.freshet.schema.TokenChunk;

/**
 * A piece of a growing text on its way out. Immutable.
 *
 * @param key session of the request, else its id; keeps the chunks of one request on one partition
 * @param chunk the piece
 */
public record KeyedChunk(String key, TokenChunk chunk) {}
