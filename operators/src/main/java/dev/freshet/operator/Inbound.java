package dev.freshet.operator;

import dev.freshet.schema.DeadLetter;

/** What the source makes of one record: decoding never throws, so what is no prompt travels as a rejection. Immutable. */
public sealed interface Inbound permits Inbound.Prompt, Inbound.Rejected, Inbound.Cancel {

    /**
     * A record that is a request, not yet validated.
     *
     * @param request the decoded request
     * @param value the record's bytes, for a dead letter; must not be changed
     * @param origin where it came from
     */
    record Prompt(dev.freshet.schema.Prompt request, byte[] value, Origin origin) implements Inbound {}

    /**
     * A record that could not be decoded.
     *
     * @param letter the original record with the reason
     */
    record Rejected(DeadLetter letter) implements Inbound {}

    /**
     * A wish that a request ends with what it has so far.
     *
     * @param id id of the request
     */
    record Cancel(String id) implements Inbound {}
}
