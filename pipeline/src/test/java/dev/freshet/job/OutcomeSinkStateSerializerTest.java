package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.operator.DeadLetters;
import dev.freshet.operator.Origin;
import dev.freshet.operator.Outbound;
import dev.freshet.schema.Completion;
import dev.freshet.wire.Header;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaWriterState;
import org.apache.flink.connector.kafka.sink.internal.CheckpointTransaction;
import org.apache.flink.connector.kafka.sink.internal.TransactionOwnership;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;

class OutcomeSinkStateSerializerTest {

    private final OutcomeSinkStateSerializer serializer = new OutcomeSinkStateSerializer(kafka());

    /** The Kafka sink's own serializer, as the job uses it. */
    private static SimpleVersionedSerializer<KafkaWriterState> kafka() {
        return KafkaSink.<byte[]>builder()
                .setBootstrapServers("localhost:1")
                .setRecordSerializer((element, context, timestamp) -> new ProducerRecord<>("topic", element))
                .build()
                .getWriterStateSerializer();
    }

    private static OutcomeSinkState state() {
        Origin origin = new Origin(
                "prompts", 3, 1L << 40, 5, new byte[] {7}, List.of(new Header("traceparent", new byte[] {1})));
        Completion completion = Completion.newBuilder()
                .setId("r-1")
                .setText("a text with ünïcode")
                .setFinishReason("length")
                .build();
        DeadLetters.Reason reason =
                new DeadLetters.Reason("decode", "BAD_JSON", null, "Not JSON.", false, null, null, null);
        Map<TopicPartition, Long> from = Map.of(new TopicPartition("completions", 0), 17L);
        Map<TopicPartition, Long> to =
                Map.of(new TopicPartition("completions", 0), 19L, new TopicPartition("completions", 1), 2L);
        Sent full = new Sent(
                new Sent.Transaction("freshet-job-0-1", 4000, (short) 12),
                from,
                to,
                List.of(
                        new Outbound.Completed(completion, "r-1", origin),
                        new Outbound.DeadLettered(DeadLetters.of(origin, new byte[] {'{'}, reason, 9))));
        Sent empty = new Sent(new Sent.Transaction("freshet-job-0-0", 4001, (short) 0), Map.of(), Map.of(), List.of());
        KafkaWriterState writer = new KafkaWriterState(
                "freshet-job",
                2,
                4,
                TransactionOwnership.EXPLICIT_BY_WRITER_STATE,
                List.of(new CheckpointTransaction("freshet-job-0-1", 8)));
        return new OutcomeSinkState(writer, List.of(full, empty));
    }

    private static byte[] golden() throws IOException {
        try (InputStream in = OutcomeSinkStateSerializerTest.class.getResourceAsStream("/state/outcome-sink-v1.hex")) {
            assertThat(in).isNotNull();
            String text = new String(in.readAllBytes(), StandardCharsets.US_ASCII);
            return HexFormat.of().parseHex(text.replaceAll("\\s", ""));
        }
    }

    @Test
    void readsWhatItWrites() throws Exception {
        byte[] bytes = serializer.serialize(state());
        OutcomeSinkState read = serializer.deserialize(1, bytes);
        assertIsTheState(read);
        assertThat(serializer.serialize(read)).isEqualTo(bytes);
    }

    private static void assertIsTheState(OutcomeSinkState read) {
        OutcomeSinkState state = state();
        assertThat(read.kafka()).isEqualTo(state.kafka());
        assertThat(read.sent()).hasSize(2);
        for (int i = 0; i < 2; i++) {
            Sent expected = state.sent().get(i);
            Sent actual = read.sent().get(i);
            assertThat(actual.transaction()).isEqualTo(expected.transaction());
            assertThat(actual.from()).isEqualTo(expected.from());
            assertThat(actual.to()).isEqualTo(expected.to());
            assertThat(actual.outcomes().stream().map(OutcomePosition::of))
                    .containsExactlyElementsOf(expected.outcomes().stream()
                            .map(OutcomePosition::of)
                            .toList());
        }
        Outbound.Completed completed =
                (Outbound.Completed) read.sent().get(0).outcomes().get(0);
        assertThat(completed.completion().getText()).isEqualTo("a text with ünïcode");
    }

    /** The bytes of outcomes change with their schemas, but what was once written must stay readable. */
    @Test
    void versionOneStaysReadable() throws Exception {
        assertIsTheState(serializer.deserialize(1, golden()));
    }

    @Test
    void refusesDamage() throws Exception {
        byte[] good = serializer.serialize(state());
        for (int i = 0; i < good.length; i++) {
            byte[] bad = good.clone();
            bad[i] ^= 0x10;
            assertThatThrownBy(() -> serializer.deserialize(1, bad)).isInstanceOf(IOException.class);
        }
    }

    @Test
    void refusesAnotherVersion() throws Exception {
        byte[] good = serializer.serialize(state());
        assertThatThrownBy(() -> serializer.deserialize(2, good)).hasMessageContaining("expected state version 1");
    }
}
