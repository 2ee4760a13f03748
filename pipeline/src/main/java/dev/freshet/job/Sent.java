package dev.freshet.job;

import dev.freshet.operator.Outbound;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.TopicPartition;

/**
 * The outcomes of one transaction that is complete but not known to be committed, and where they lie if it is: in each partition
 * from one offset to before another. Immutable.
 *
 * @param transaction the transaction
 * @param from for each partition an offset at or below that of the first outcome; a partition that is missing begins at 0
 * @param to for each partition an offset above that of the last outcome
 * @param outcomes what was written
 */
record Sent(
        Transaction transaction,
        Map<TopicPartition, Long> from,
        Map<TopicPartition, Long> to,
        List<Outbound> outcomes) {

    /**
     * One transaction of one producer.
     *
     * @param id transactional id
     * @param producerId id that the broker gave to the producer
     * @param epoch the producer's epoch
     */
    record Transaction(String id, long producerId, short epoch) {}

    Sent {
        from = Map.copyOf(from);
        to = Map.copyOf(to);
        outcomes = List.copyOf(outcomes);
    }
}
