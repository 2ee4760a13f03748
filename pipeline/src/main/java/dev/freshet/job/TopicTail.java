package dev.freshet.job;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import dev.freshet.schema.TokenChunk;
import dev.freshet.wire.DeadLetterHeaders;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.Header;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordType;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;

/** Follows the output topics of a job as any consumer would: what is committed, in the order of each partition. Confined to one thread. */
public final class TopicTail implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final String deadLetters;
    private final Map<String, Function<byte[], @Nullable Object>> decoders = new HashMap<>();

    /**
     * One output record.
     *
     * @param topic where it lies
     * @param timestampMillis when it was written, epoch milliseconds
     * @param value a {@link Completion}, {@link TokenChunk}, {@link Metric} or {@link Letter}
     */
    public record Item(String topic, long timestampMillis, Object value) {}

    /**
     * What the headers of a dead letter say.
     *
     * @param code stable code
     * @param stage where it was refused
     * @param message one sentence
     * @param partition of the original record
     * @param offset of the original record
     * @param id id of the request; empty where it could not be read
     */
    public record Letter(String code, String stage, String message, int partition, long offset, String id) {}

    /** Follows every output topic of a job from its beginning, or from its end. */
    public TopicTail(JobOptions options, boolean fromBeginning) {
        this(options, outputs(options), fromBeginning);
    }

    private TopicTail(JobOptions options, Set<String> topics, boolean fromBeginning) {
        JobOptions.Output output = options.output();
        deadLetters = output.deadLetters();
        add(output.completions(), RecordType.COMPLETION);
        add(output.chunks(), RecordType.TOKEN_CHUNK);
        add(output.metrics(), RecordType.METRIC);
        Map<String, Object> client = new HashMap<>(options.kafka());
        client.put("isolation.level", "read_committed");
        client.put("enable.auto.commit", "false");
        client.remove("group.id");
        consumer = new KafkaConsumer<>(client, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<TopicPartition> partitions = new ArrayList<>();
        for (String topic : topics) {
            consumer.partitionsFor(topic, PATIENCE)
                    .forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
        }
        consumer.assign(partitions);
        if (fromBeginning) {
            consumer.seekToBeginning(partitions);
        } else {
            consumer.seekToEnd(partitions);
            // The end is where it is now, not at the first poll.
            partitions.forEach(partition -> consumer.position(partition, PATIENCE));
        }
    }

    private static Set<String> outputs(JobOptions options) {
        JobOptions.Output output = options.output();
        Set<String> topics = new java.util.LinkedHashSet<>();
        topics.add(output.completions().topic());
        topics.add(output.deadLetters());
        for (JobOptions.Target target : new JobOptions.@Nullable Target[] {output.chunks(), output.metrics()}) {
            if (target != null) {
                topics.add(target.topic());
            }
        }
        return topics;
    }

    private <T extends org.apache.avro.specific.SpecificRecord> void add(
            JobOptions.@Nullable Target target, RecordType<T> type) {
        if (target != null) {
            RecordDecoder<T> decoder = target.format().decoder(type);
            decoders.put(
                    target.topic(),
                    bytes -> decoder.decode(bytes) instanceof Decoded.Value<T> value ? value.value() : null);
        }
    }

    /**
     * Waits for records and returns those that came; may be empty.
     *
     * @throws InterruptedException when the thread was interrupted
     */
    public List<Item> poll(Duration patience) throws InterruptedException {
        List<Item> items = new ArrayList<>();
        try {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(patience)) {
                Object value = value(record);
                if (value != null) {
                    items.add(new Item(record.topic(), record.timestamp(), value));
                }
            }
        } catch (InterruptException e) {
            Thread.interrupted();
            throw new InterruptedException("interrupted while reading topics");
        }
        return items;
    }

    private @Nullable Object value(ConsumerRecord<byte[], byte[]> record) {
        if (record.topic().equals(deadLetters)) {
            return letter(record);
        }
        Function<byte[], @Nullable Object> decoder = decoders.get(record.topic());
        return decoder == null ? null : decoder.apply(record.value());
    }

    private static Letter letter(ConsumerRecord<byte[], byte[]> record) {
        List<Header> headers = new ArrayList<>();
        record.headers().forEach(header -> headers.add(new Header(header.key(), header.value())));
        return new Letter(
                text(headers, "code"),
                text(headers, "stage"),
                text(headers, "message"),
                (int) number(headers, "partition"),
                number(headers, "offset"),
                text(headers, "request_id"));
    }

    private static String text(List<Header> headers, String name) {
        String value = Header.lastText(headers, DeadLetterHeaders.PREFIX + name);
        return value == null ? "" : value;
    }

    private static long number(List<Header> headers, String name) {
        try {
            return Long.parseLong(text(headers, name));
        } catch (NumberFormatException e) {
            return -1;
        }
    }

    @Override
    public void close() {
        consumer.close();
    }
}
