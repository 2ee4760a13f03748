package dev.freshet.job;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/** Writes records to the prompts topic of a job, as any producer would. Confined to one thread. */
public final class PromptFeed implements AutoCloseable {

    private final String topic;
    private final KafkaProducer<byte[], byte[]> producer;

    /**
     * Where a record lies.
     *
     * @param partition its partition
     * @param offset its offset
     * @param timestampMillis when it was written, epoch milliseconds
     */
    public record Sent(int partition, long offset, long timestampMillis) {}

    /** Opens a producer. */
    public PromptFeed(JobOptions options) {
        topic = options.input().topic();
        Map<String, Object> client = new HashMap<>(options.kafka());
        client.put("acks", "all");
        // A broker that does not lead a new partition yet refuses its first batch, may take the second, and then
        // refuses the first for ever: one at a time.
        client.put("max.in.flight.requests.per.connection", "1");
        producer = new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /**
     * Writes records and returns where they lie, in their order.
     *
     * @param values the records; null is a tombstone
     */
    public List<Sent> send(List<byte @Nullable []> values) throws InterruptedException, ExecutionException {
        return send(null, values);
    }

    /**
     * Writes records with a key, which keeps them in order.
     *
     * @param key key of all of them, a session for example, or null
     * @param values the records; null is a tombstone
     */
    public List<Sent> send(@Nullable String key, List<byte @Nullable []> values)
            throws InterruptedException, ExecutionException {
        byte[] keyBytes = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
        List<Future<RecordMetadata>> writing = new ArrayList<>();
        for (byte[] value : values) {
            writing.add(producer.send(new ProducerRecord<>(topic, keyBytes, value)));
        }
        producer.flush();
        List<Sent> sent = new ArrayList<>();
        for (Future<RecordMetadata> one : writing) {
            RecordMetadata written = one.get();
            sent.add(new Sent(written.partition(), written.offset(), written.timestamp()));
        }
        return sent;
    }

    /**
     * Begins to write a record under a key, and waits only where the producer's buffer is full.
     *
     * @param written called once, on a thread of the producer, with null or the reason why the record was not written
     */
    public void begin(String key, byte[] value, Consumer<@Nullable Exception> written) {
        byte[] keyBytes = key.getBytes(StandardCharsets.UTF_8);
        producer.send(new ProducerRecord<>(topic, keyBytes, value), (place, failure) -> written.accept(failure));
    }

    /** Waits until everything that was begun is written or given up. */
    public void flush() {
        producer.flush();
    }

    @Override
    public void close() {
        producer.close();
    }
}
