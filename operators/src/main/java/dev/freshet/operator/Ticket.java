package dev.freshet.operator;

import dev.freshet.request.SessionTurn;
import org.jspecify.annotations.Nullable;

/**
 * What the answer to an admitted request needs besides its tokens. Immutable.
 *
 * @param origin where the request came from
 * @param id id of the request
 * @param key key of its answers: id of its session, else its own
 * @param chat whether the answer has the shape of a conversation
 * @param stream whether chunks are emitted
 * @param returnTokenIds whether the answer carries its token ids
 * @param echo text put in front of the answer, or null
 * @param arrivedMillis when the request arrived, epoch milliseconds
 * @param deadlineMillis when the answer becomes worthless, epoch milliseconds, or null
 * @param session place in a conversation, or null
 */
record Ticket(
        Origin origin,
        String id,
        String key,
        boolean chat,
        boolean stream,
        boolean returnTokenIds,
        @Nullable String echo,
        long arrivedMillis,
        @Nullable Long deadlineMillis,
        @Nullable SessionTurn session) {

    /** The same in a conversation. */
    Ticket in(SessionTurn turn) {
        return new Ticket(origin, id, key, chat, stream, returnTokenIds, echo, arrivedMillis, deadlineMillis, turn);
    }
}
