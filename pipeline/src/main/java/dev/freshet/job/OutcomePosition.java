package dev.freshet.job;

import dev.freshet.operator.Outbound;
import dev.freshet.schema.DeadLetter;
import dev.freshet.wire.DeadLetterHeaders;
import dev.freshet.wire.Header;
import dev.freshet.wire.OutputHeaders;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

/**
 * Where the input of an outcome lies, which identifies the outcome: an input has exactly one. Immutable.
 *
 * @param topic topic of the input
 * @param partition partition of the input
 * @param offset offset of the input
 */
record OutcomePosition(String topic, int partition, long offset) {

    /** Returns the position of an outcome on its way to a topic. */
    static OutcomePosition of(Outbound outcome) {
        if (outcome instanceof Outbound.Completed completed) {
            return new OutcomePosition(
                    completed.origin().topic(),
                    completed.origin().partition(),
                    completed.origin().offset());
        }
        DeadLetter letter = ((Outbound.DeadLettered) outcome).letter();
        return new OutcomePosition(letter.getTopic(), letter.getPartition(), letter.getOffset());
    }

    /** Returns what the headers of an answer say, or null when they do not. */
    static @Nullable OutcomePosition ofAnswer(List<Header> headers) {
        return read(headers, OutputHeaders.SOURCE_TOPIC, OutputHeaders.SOURCE_PARTITION, OutputHeaders.SOURCE_OFFSET);
    }

    /** Returns what the headers of a dead letter say, or null when they do not. */
    static @Nullable OutcomePosition ofLetter(List<Header> headers) {
        return read(
                headers,
                DeadLetterHeaders.PREFIX + "topic",
                DeadLetterHeaders.PREFIX + "partition",
                DeadLetterHeaders.PREFIX + "offset");
    }

    private static @Nullable OutcomePosition read(
            List<Header> headers, String topicName, String partitionName, String offsetName) {
        String topic = Header.lastText(headers, topicName);
        String partition = Header.lastText(headers, partitionName);
        String offset = Header.lastText(headers, offsetName);
        if (topic == null || partition == null || offset == null) {
            return null;
        }
        try {
            return new OutcomePosition(topic, Integer.parseInt(partition), Long.parseLong(offset));
        } catch (NumberFormatException e) {
            return null;
        }
    }

    /** The headers of a record that was read. */
    static List<Header> headers(ConsumerRecord<byte[], byte[]> record) {
        List<Header> headers = new ArrayList<>();
        record.headers().forEach(header -> headers.add(new Header(header.key(), header.value())));
        return headers;
    }

    @Override
    public String toString() {
        return topic + "-" + partition + "-" + offset;
    }
}
