package dev.freshet.job;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads what is committed as it comes, as a consumer of the job would, and notes when. */
final class CommitWatch implements AutoCloseable {

    private final Thread thread = new Thread(this::run, "commit-watch");
    private final Map<String, Object> client;
    private final List<TopicPartition> partitions = new ArrayList<>();
    private final List<Long> arrivals = new ArrayList<>();
    private final AtomicLong seen = new AtomicLong();
    private volatile boolean ended;

    CommitWatch(JobOptions options, int partitionCount) {
        client = new HashMap<>(options.kafka());
        client.put("isolation.level", "read_committed");
        client.put("auto.offset.reset", "earliest");
        for (int i = 0; i < partitionCount; i++) {
            partitions.add(new TopicPartition(options.output().completions().topic(), i));
        }
        thread.start();
    }

    private void run() {
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(client, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(partitions);
            while (!ended) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(50));
                if (!records.isEmpty()) {
                    synchronized (arrivals) {
                        arrivals.add(System.nanoTime());
                    }
                    seen.addAndGet(records.count());
                }
            }
        }
    }

    /** Completions seen so far. */
    long seen() {
        return seen.get();
    }

    /**
     * Returns how long after a fault the stream flowed again: the end of the longest silence that a fault began, in milliseconds. A
     * commit just after a fault may belong to the checkpoint before it.
     *
     * @param fault when it happened
     * @param until when to stop looking, for example the next fault
     */
    long recoveryMillis(long fault, long until) {
        List<Long> times;
        synchronized (arrivals) {
            times = new ArrayList<>(arrivals);
        }
        long before = fault;
        long longest = -1;
        long end = fault;
        for (long time : times) {
            if (time < fault || time > until) {
                continue;
            }
            if (time - before > longest) {
                longest = time - before;
                end = time;
            }
            before = time;
        }
        return (end - fault) / 1_000_000;
    }

    @Override
    public void close() throws InterruptedException {
        ended = true;
        thread.join(10_000);
    }
}
