package dev.freshet.operator;

import dev.freshet.wire.Header;
import dev.freshet.wire.InboundHeaders;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where a record came from, and what its answer needs of the envelope. Immutable; arrays and the list are shared and must not be changed.
 *
 * @param topic topic of the record
 * @param partition partition of the record
 * @param offset offset of the record
 * @param timestamp milliseconds since the epoch that the record carries, -1 without; never used for anything but the record of it
 * @param key key of the record, or null
 * @param headers headers of the record in order, already cut to the job's limits
 */
public record Origin(
        String topic, int partition, long offset, long timestamp, byte @Nullable [] key, List<Header> headers) {

    /** Id of a request that brings none: the CloudEvents id of the record, else its position. */
    String fallbackId() {
        return InboundHeaders.fallbackId(headers, topic, partition, offset);
    }

    /** Returns {@code topic-partition-offset}: unique in the input. */
    public String position() {
        return topic + "-" + partition + "-" + offset;
    }
}
