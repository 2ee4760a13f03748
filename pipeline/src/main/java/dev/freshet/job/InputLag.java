package dev.freshet.job;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * How many prompts lie behind the offsets that a job has committed, as monitoring of consumer groups counts them: a job commits with
 * its checkpoints, so that the number moves in steps of one interval. Asks in the background and never waits. Confined to one thread.
 */
public final class InputLag implements AutoCloseable {

    /** What stands for a number that is not known, for example before the first checkpoint. */
    public static final long UNKNOWN = -1;

    private final Admin admin;
    private final String topic;
    private final String group;
    private @Nullable KafkaFuture<Map<String, TopicDescription>> described;
    private @Nullable KafkaFuture<Map<TopicPartition, ListOffsetsResultInfo>> ends;
    private @Nullable KafkaFuture<Map<TopicPartition, OffsetAndMetadata>> committed;
    private Map<TopicPartition, OffsetSpec> partitions = Map.of();
    private long latest = UNKNOWN;

    /** Opens a connection. */
    public InputLag(JobOptions options) {
        topic = options.input().topic();
        group = options.input().group();
        admin = Admin.create(new HashMap<>(options.kafka()));
        described = admin.describeTopics(List.of(topic)).allTopicNames();
    }

    /** Returns the last known number of records, or {@link #UNKNOWN}, and asks again when the last answer is in. */
    public long latest() {
        try {
            if (described != null && described.isDone()) {
                Map<TopicPartition, OffsetSpec> found = new HashMap<>();
                described.get().values().forEach(d -> d.partitions()
                        .forEach(p -> found.put(new TopicPartition(topic, p.partition()), OffsetSpec.latest())));
                partitions = found;
                described = null;
            }
            if (ends != null && committed != null && ends.isDone() && committed.isDone()) {
                latest = behind(ends.get(), committed.get());
                ends = null;
                committed = null;
            }
        } catch (ExecutionException | InterruptedException e) {
            // Without the right to ask, or with a broker that is away, the number is not known.
            latest = UNKNOWN;
            described = null;
            ends = null;
            committed = null;
            if (e instanceof InterruptedException) {
                Thread.currentThread().interrupt();
            }
        }
        ask();
        return latest;
    }

    private void ask() {
        if (partitions.isEmpty() || ends != null) {
            return;
        }
        ends = admin.listOffsets(partitions).all();
        committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata();
    }

    private long behind(
            Map<TopicPartition, ListOffsetsResultInfo> written, Map<TopicPartition, OffsetAndMetadata> read) {
        long sum = 0;
        boolean known = false;
        for (Map.Entry<TopicPartition, ListOffsetsResultInfo> end : written.entrySet()) {
            OffsetAndMetadata position = read.get(end.getKey());
            known |= position != null;
            sum += Math.max(0, end.getValue().offset() - (position == null ? 0 : position.offset()));
        }
        return known ? sum : UNKNOWN;
    }

    @Override
    public void close() {
        admin.close(Duration.ZERO);
    }
}
