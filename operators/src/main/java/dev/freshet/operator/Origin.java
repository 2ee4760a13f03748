package dev.freshet.operator;

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

    /** Returns {@code topic-partition-offset}: unique, and the id of a request that brings none. */
    public String position() {
        return topic + "-" + partition + "-" + offset;
    }
}
