package dev.freshet.operator;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;

/** The one outcome of a record. Both kinds go through one sink, so that they are in the same transaction. Immutable. */
public sealed interface Outbound permits Outbound.Completed, Outbound.DeadLettered {

    /**
     * The answer to a request, errors included.
     *
     * @param completion the answer
     * @param key session of the request, else its id
     * @param origin where the request came from, for headers that are copied
     */
    record Completed(Completion completion, String key, Origin origin) implements Outbound {}

    /**
     * A record that could not be served.
     *
     * @param letter the original record with the reason
     */
    record DeadLettered(DeadLetter letter) implements Outbound {}
}
