package dev.freshet.job;

import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.util.clock.Clock;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the output topics of a job hold. Confined to the task thread. */
final class OutputLog implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(OutputLog.class);
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Duration POLL = Duration.ofMillis(200);

    private final Map<String, Object> client;
    private final List<String> topics;
    private final String deadLetters;
    private final Clock clock;
    private final Admin admin;

    /**
     * Opens a connection.
     *
     * @param client properties for Kafka clients
     * @param topics the output topics
     * @param deadLetters which of them holds dead letters
     */
    OutputLog(Map<String, String> client, List<String> topics, String deadLetters, Clock clock) {
        this.client = new HashMap<>(client);
        this.topics = topics;
        this.deadLetters = deadLetters;
        this.clock = clock;
        this.admin = Admin.create(this.client);
    }

    /** Returns for each partition the offset that the next record gets. */
    Map<TopicPartition, Long> ends() throws IOException, InterruptedException {
        return latest(IsolationLevel.READ_UNCOMMITTED);
    }

    /** Returns for each partition the offset below which every transaction is decided. */
    Map<TopicPartition, Long> decided() throws IOException, InterruptedException {
        return latest(IsolationLevel.READ_COMMITTED);
    }

    private Map<TopicPartition, Long> latest(IsolationLevel isolation) throws IOException, InterruptedException {
        try {
            Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
            admin.describeTopics(topics)
                    .allTopicNames()
                    .get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)
                    .forEach((topic, description) -> description
                            .partitions()
                            .forEach(info ->
                                    wanted.put(new TopicPartition(topic, info.partition()), OffsetSpec.latest())));
            Map<TopicPartition, Long> offsets = new HashMap<>();
            for (Map.Entry<TopicPartition, ListOffsetsResultInfo> entry : admin.listOffsets(
                            wanted, new ListOffsetsOptions(isolation))
                    .all()
                    .get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)
                    .entrySet()) {
                offsets.put(entry.getKey(), entry.getValue().offset());
            }
            return offsets;
        } catch (ExecutionException | TimeoutException e) {
            throw new IOException(
                    "Cannot read the ends of the output topics: expected an answer within " + PATIENCE.toSeconds()
                            + " s, got " + e + ". Check the broker, and grant Describe on the topics.",
                    e);
        }
    }

    /**
     * Returns the inputs whose outcomes are committed in a range of each partition.
     *
     * @param from first offset of each partition, 0 where there is none
     * @param to offset of each partition before which to stop; all transactions below must be decided
     */
    Set<OutcomePosition> committed(Map<TopicPartition, Long> from, Map<TopicPartition, Long> to) throws IOException {
        Map<String, Object> properties = new HashMap<>(client);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        properties.remove("group.id");
        Set<OutcomePosition> found = new HashSet<>();
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Set<TopicPartition> open = new HashSet<>();
            to.forEach((partition, end) -> {
                if (end > from.getOrDefault(partition, 0L)) {
                    open.add(partition);
                }
            });
            consumer.assign(open);
            Map<TopicPartition, Long> kept = consumer.beginningOffsets(open, PATIENCE);
            for (TopicPartition partition : open) {
                long first = from.getOrDefault(partition, 0L);
                if (kept.getOrDefault(partition, 0L) > first) {
                    LOG.warn(
                            "{} begins at offset {}, behind {} where this job wrote: what is gone from there is written"
                                    + " again",
                            partition,
                            kept.get(partition),
                            first);
                }
                consumer.seek(partition, Math.max(first, kept.getOrDefault(partition, 0L)));
            }
            read(consumer, open, to, found);
        }
        return found;
    }

    private void read(
            KafkaConsumer<byte[], byte[]> consumer,
            Set<TopicPartition> open,
            Map<TopicPartition, Long> to,
            Set<OutcomePosition> found)
            throws IOException {
        long deadline = clock.relativeTimeMillis() + PATIENCE.toMillis();
        while (true) {
            open.removeIf(partition -> consumer.position(partition) >= to.getOrDefault(partition, 0L));
            if (open.isEmpty()) {
                return;
            }
            if (clock.relativeTimeMillis() > deadline) {
                throw new IOException("Cannot read the output topics: expected to reach the ends within "
                        + PATIENCE.toSeconds() + " s, got less in " + open + ". Check the broker.");
            }
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                OutcomePosition position = record.topic().equals(deadLetters)
                        ? OutcomePosition.ofLetter(OutcomePosition.headers(record))
                        : OutcomePosition.ofAnswer(OutcomePosition.headers(record));
                if (position != null) {
                    found.add(position);
                    deadline = clock.relativeTimeMillis() + PATIENCE.toMillis();
                }
            }
        }
    }

    @Override
    public void close() {
        admin.close(Duration.ZERO);
    }
}
