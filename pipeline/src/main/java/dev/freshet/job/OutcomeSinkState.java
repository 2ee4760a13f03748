package dev.freshet.job;

import java.util.List;
import org.apache.flink.connector.kafka.sink.KafkaWriterState;

/**
 * What one subtask of the sink keeps in a checkpoint. The Kafka sink derives the ownership of transactional ids from how its
 * states are dealt out, so that ours travel with them and never alone. Immutable.
 *
 * @param kafka state of the Kafka sink's writer
 * @param sent transactions whose fate is not known
 */
record OutcomeSinkState(KafkaWriterState kafka, List<Sent> sent) {

    OutcomeSinkState {
        sent = List.copyOf(sent);
    }
}
