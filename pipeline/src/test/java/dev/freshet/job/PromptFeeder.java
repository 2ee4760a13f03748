package dev.freshet.job;

import dev.freshet.schema.Prompt;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/**
 * Feeds prompts at a steady rate from a thread of its own, through every outage, until it is told to end and has sent enough. Of each
 * fifty, one is no prompt, one is a wrong request, and one is sent twice.
 */
final class PromptFeeder implements AutoCloseable {

    static final int TOKENS = 60;

    /** Begins every prompt, and must be nowhere but in topics. */
    static final String CANARY = "zqxjkvcanary";

    private final KafkaProducer<byte[], byte[]> producer;
    private final JobOptions options;
    private final int partitions;
    private final long enough;
    private final long pauseNanos;
    private final Thread thread = new Thread(this::run, "prompt-feeder");
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final AtomicLong hurry = new AtomicLong();
    private volatile boolean ending;
    private volatile long sent;

    PromptFeeder(JobOptions options, int partitions, long enough, int perSecond) {
        this.options = options;
        this.partitions = partitions;
        this.enough = enough;
        this.pauseNanos = 1_000_000_000L / perSecond;
        Map<String, Object> client = new HashMap<>(options.kafka());
        client.put("delivery.timeout.ms", "600000");
        client.put("max.block.ms", "600000");
        client.put("enable.idempotence", "true");
        client.put("max.in.flight.requests.per.connection", "1");
        producer = new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer());
        thread.start();
    }

    /** The text of a prompt: the canary and its number in letters. */
    static String text(long number) {
        StringBuilder text = new StringBuilder(CANARY);
        for (long left = number; text.length() < CANARY.length() + 6; left /= 26) {
            text.append((char) ('a' + left % 26));
        }
        return text.toString();
    }

    private static Prompt prompt(long number) {
        return Prompt.newBuilder()
                .setId("r" + number)
                .setPrompt(text(number))
                .setMaxTokens((long) TOKENS)
                .setTemperature(number % 50 == 1 ? -1.0 : 0.0)
                .setIgnoreEos(true)
                .build();
    }

    private void run() {
        RecordEncoder<Prompt> encoder = options.input()
                .format()
                .encoder(RecordType.PROMPT, options.input().topic());
        try {
            for (long number = 0; number < enough || !ending; number++) {
                byte[] value = number % 50 == 0
                        ? ("{ " + CANARY + number).getBytes(StandardCharsets.UTF_8)
                        : encoder.encode(prompt(number));
                for (int times = number % 50 == 2 ? 2 : 1; times > 0; times--) {
                    producer.send(
                            new ProducerRecord<>(options.input().topic(), (int) (number % partitions), null, value),
                            (metadata, e) -> {
                                if (e != null) {
                                    failure.compareAndSet(null, e);
                                }
                            });
                }
                sent = number + 1;
                if (hurry.getAndUpdate(left -> Math.max(0, left - 1)) == 0) {
                    LockSupport.parkNanos(pauseNanos);
                }
            }
            producer.flush();
        } catch (RuntimeException e) {
            failure.compareAndSet(null, e);
        }
    }

    /** Sends the next so many without a pause, beside the steady rate. */
    void burst(int prompts) {
        hurry.addAndGet(prompts);
    }

    /** Prompts sent so far, repetitions not counted. */
    long sent() {
        return sent;
    }

    /** Sends what is missing to enough and returns when all is acknowledged. */
    void finish() throws InterruptedException {
        ending = true;
        thread.join();
        Throwable e = failure.get();
        if (e != null) {
            throw new IllegalStateException("A prompt could not be sent", e);
        }
    }

    @Override
    public void close() throws InterruptedException {
        ending = true;
        thread.interrupt();
        thread.join(10_000);
        producer.close(Duration.ofSeconds(5));
    }
}
