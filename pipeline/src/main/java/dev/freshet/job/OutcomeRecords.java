package dev.freshet.job;

import dev.freshet.operator.Outbound;
import dev.freshet.request.ErrorCode;
import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Failure;
import dev.freshet.wire.DeadLetterHeaders;
import dev.freshet.wire.Header;
import dev.freshet.wire.InboundHeaders;
import dev.freshet.wire.OutputHeaders;
import dev.freshet.wire.RecordChecksum;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetIdentifier;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacetProvider;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;

/**
 * Writes outcomes: completions to their topic or to an allowed reply topic, dead letters as the records they were. One serializer,
 * so that both are in one transaction. Confined to the task thread once opened.
 */
final class OutcomeRecords implements KafkaRecordSerializationSchema<Outbound>, KafkaDatasetFacetProvider {

    private static final long serialVersionUID = 1L;

    /** Bytes of a completion that surely fit a topic with the broker's default limit, headers included. */
    private static final int LARGEST = 1_000_000;

    private final JobOptions.Target completions;
    private final String deadLetters;
    private final HashSet<String> replyTopics;
    private final OutputHeaders headers;
    private final String job;
    private final String version;
    private transient @Nullable RecordEncoder<Completion> encoder;
    private transient @Nullable DeadLetterHeaders letterHeaders;

    OutcomeRecords(JobOptions options, String version) {
        JobOptions.Output output = options.output();
        this.completions = output.completions();
        this.deadLetters = output.deadLetters();
        this.replyTopics = new HashSet<>(output.replyTopics());
        this.headers = new OutputHeaders(
                output.cloudEvents(),
                "/freshet/" + options.name(),
                completions.format().contentType(),
                Set.of());
        this.job = options.name();
        this.version = version;
    }

    /** Every topic that an outcome can go to. */
    List<String> topics() {
        SortedSet<String> topics = new TreeSet<>(replyTopics);
        topics.add(completions.topic());
        topics.add(deadLetters);
        return List.copyOf(topics);
    }

    /** Tells the sink where open transactions of a dead run may lie. */
    @Override
    public Optional<KafkaDatasetFacet> getKafkaDatasetFacet() {
        return Optional.of(new DefaultKafkaDatasetFacet(DefaultKafkaDatasetIdentifier.ofTopics(topics())));
    }

    @Override
    public void open(SerializationSchema.InitializationContext context, KafkaSinkContext sink) {
        encoder = completions.format().encoder(RecordType.COMPLETION, completions.topic());
        letterHeaders =
                new DeadLetterHeaders(job, GenerateJob.OPERATOR_UID, sink.getParallelInstanceId(), version, null);
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(
            Outbound outcome, KafkaSinkContext context, @Nullable Long timestamp) {
        if (encoder == null || letterHeaders == null) {
            throw new IllegalStateException(
                    "Cannot write an outcome: expected an opened serializer, got a closed one.");
        }
        if (outcome instanceof Outbound.Completed completed) {
            return completion(completed, encoder);
        }
        return letter(((Outbound.DeadLettered) outcome).letter(), letterHeaders);
    }

    private ProducerRecord<byte[], byte[]> letter(DeadLetter letter, DeadLetterHeaders to) {
        byte[] payload = bytes(letter.getValue());
        List<Header> all = to.of(letter);
        String id = letter.getRequestId() == null ? "" : letter.getRequestId();
        all.add(RecordChecksum.of(deadLetters, id, payload == null ? new byte[0] : payload));
        return KafkaRecords.of(deadLetters, bytes(letter.getKey()), payload, all);
    }

    private ProducerRecord<byte[], byte[]> completion(Outbound.Completed completed, RecordEncoder<Completion> to) {
        String reply = InboundHeaders.replyTopic(completed.origin().headers(), replyTopics);
        String topic = reply == null ? completions.topic() : reply;
        Completion completion = completed.completion();
        byte[] payload = KafkaRecords.encode(to, completion);
        if (payload.length > LARGEST) {
            completion = tooLarge(completion, payload.length);
            payload = KafkaRecords.encode(to, completion);
        }
        return KafkaRecords.of(
                topic,
                KafkaRecords.utf8(completed.key()),
                payload,
                headers.of(completed.origin().headers(), completion, topic, payload));
    }

    /** The broker would refuse such a record for ever; its outcome is an error that says so. */
    private static Completion tooLarge(Completion completion, int bytes) {
        Completion error = Completion.newBuilder(completion)
                .setText("")
                .setTokenIds(null)
                .setLogprobs(null)
                .setFinishReason("error")
                .setStopReason(null)
                .build();
        error.setError(new Failure(
                ErrorCode.OUTPUT_TOO_LARGE.name(),
                null,
                "Cannot write the completion of request " + completion.getId() + ": expected at most " + LARGEST
                        + " bytes, got " + bytes + ". Ask for fewer tokens or logprobs.",
                ErrorCode.OUTPUT_TOO_LARGE.status()));
        return error;
    }

    private static byte @Nullable [] bytes(@Nullable ByteBuffer buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] copy = new byte[buffer.remaining()];
        buffer.duplicate().get(copy);
        return copy;
    }
}
