package dev.freshet.job;

import dev.freshet.operator.DeadLetters;
import dev.freshet.operator.Origin;
import dev.freshet.operator.Outbound;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Failure;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.RequestMetrics;
import dev.freshet.wire.RecordType;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema.KafkaSinkContext;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/** Topics of a job, filled by a test with the records that the job itself would write. */
final class TestTopics implements AutoCloseable {

    final JobOptions options;
    private final KafkaProducer<byte[], byte[]> producer;
    private final OutcomeRecords outcomes;

    /** Creates the topics of the options, with two partitions for prompts. */
    TestTopics(JobOptions options) throws ExecutionException, InterruptedException {
        this.options = options;
        Map<String, Object> client = Map.copyOf(options.kafka());
        try (Admin admin = Admin.create(client)) {
            admin.createTopics(List.of(
                            new NewTopic(options.input().topic(), 2, (short) 1),
                            new NewTopic(options.output().completions().topic(), 2, (short) 1),
                            new NewTopic(options.output().deadLetters(), 1, (short) 1)))
                    .all()
                    .get();
        }
        producer = new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer());
        outcomes = new OutcomeRecords(options, "test");
        outcomes.open(new NoContext(), new OneSubtask());
    }

    /** A prompt whose id follows from its text. */
    static Prompt prompt(@Nullable String id, String text) {
        return Prompt.newBuilder().setId(id).setPrompt(text).build();
    }

    byte[] encoded(Prompt prompt) {
        return options.input()
                .format()
                .encoder(RecordType.PROMPT, options.input().topic())
                .encode(prompt);
    }

    /** Writes a prompt and returns where it lies. */
    Origin send(int partition, byte @Nullable [] value) throws ExecutionException, InterruptedException {
        RecordMetadata written = producer.send(
                        new ProducerRecord<>(options.input().topic(), partition, null, value))
                .get();
        return new Origin(written.topic(), written.partition(), written.offset(), written.timestamp(), null, List.of());
    }

    /** The record of an answer as the sink would write it. */
    ProducerRecord<byte[], byte[]> answer(Origin origin, String id, @Nullable Failure error) {
        Completion c = new Completion();
        c.setId(id);
        c.setText(error == null ? "a text" : "");
        c.setFinishReason(error == null ? "length" : "error");
        c.setError(error);
        c.setModel("model");
        c.setModelFingerprint("fingerprint");
        c.setBackend("fake");
        c.setMetrics(RequestMetrics.newBuilder().setResumedFromCheckpoint(1).build());
        c.setSourceTopic(origin.topic());
        c.setSourcePartition(origin.partition());
        c.setSourceOffset(origin.offset());
        return outcomes.serialize(new Outbound.Completed(c, id, origin), new OneSubtask(), null);
    }

    /** The record of a dead letter as the sink would write it. */
    ProducerRecord<byte[], byte[]> letter(Origin origin, byte @Nullable [] value, @Nullable String id) {
        DeadLetters.Reason reason =
                new DeadLetters.Reason("decode", "BAD_JSON", null, "Not JSON.", false, id, null, null);
        return outcomes.serialize(
                new Outbound.DeadLettered(DeadLetters.of(origin, value, reason, 1)), new OneSubtask(), null);
    }

    /** Writes a record and returns its place. */
    String write(ProducerRecord<byte[], byte[]> record) throws ExecutionException, InterruptedException {
        RecordMetadata written = producer.send(record).get();
        return written.topic() + "-" + written.partition() + "-" + written.offset();
    }

    /** The same record with another payload, key or headers kept. */
    static ProducerRecord<byte[], byte[]> withPayload(ProducerRecord<byte[], byte[]> record, byte[] payload) {
        return new ProducerRecord<>(record.topic(), null, null, record.key(), payload, record.headers());
    }

    /** The same record without a header. */
    static ProducerRecord<byte[], byte[]> without(ProducerRecord<byte[], byte[]> record, String header) {
        record.headers().remove(header);
        return record;
    }

    Verification verify() {
        return TopicVerifier.verify(options, 10);
    }

    @Override
    public void close() {
        producer.close();
    }

    private record NoContext() implements SerializationSchema.InitializationContext {
        @Override
        public MetricGroup getMetricGroup() {
            return new UnregisteredMetricsGroup();
        }

        @Override
        public UserCodeClassLoader getUserCodeClassLoader() {
            return SimpleUserCodeClassLoader.create(TestTopics.class.getClassLoader());
        }
    }

    private record OneSubtask() implements KafkaSinkContext {
        @Override
        public int getParallelInstanceId() {
            return 0;
        }

        @Override
        public int getNumberOfParallelInstances() {
            return 1;
        }

        @Override
        public int[] getPartitionsForTopic(String topic) {
            return new int[] {0};
        }
    }
}
