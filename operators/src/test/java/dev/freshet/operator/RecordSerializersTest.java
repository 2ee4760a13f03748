package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenChunk;
import dev.freshet.wire.Header;
import java.io.IOException;
import java.util.List;
import org.apache.flink.api.common.serialization.SerializerConfigImpl;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

class RecordSerializersTest {

    private static final Origin ORIGIN = new Origin(
            "prompts", 1, 2, 3, new byte[] {4}, List.of(new Header("h", null), new Header("i", new byte[] {5})));

    private static <T> T roundTrip(TypeInformation<T> type, T record) throws IOException {
        TypeSerializer<T> serializer = type.createSerializer(new SerializerConfigImpl());
        DataOutputSerializer out = new DataOutputSerializer(64);
        serializer.serialize(record, out);
        DataOutputSerializer copy = new DataOutputSerializer(64);
        serializer.copy(new DataInputDeserializer(out.getCopyOfBuffer()), copy);
        assertThat(copy.getCopyOfBuffer()).isEqualTo(out.getCopyOfBuffer());
        DataInputDeserializer in = new DataInputDeserializer(out.getCopyOfBuffer());
        T read = serializer.duplicate().deserialize(in);
        assertThat(in.available()).isZero();
        assertThat(serializer.snapshotConfiguration().restoreSerializer()).isEqualTo(serializer);
        return read;
    }

    private static void same(Origin read) {
        assertThat(read.position()).isEqualTo(ORIGIN.position());
        assertThat(read.key()).containsExactly(4);
        assertThat(read.headers().get(0).value()).isNull();
        assertThat(read.headers().get(1).value()).containsExactly(5);
    }

    @Test
    void promptsAndRejectionsCross() throws IOException {
        Prompt prompt = ServingBench.prompt("r", "text ✓", 7);
        Inbound.Prompt read =
                (Inbound.Prompt) roundTrip(RecordTypes.INBOUND, new Inbound.Prompt(prompt, new byte[] {1, 2}, ORIGIN));
        assertThat(read.request()).isEqualTo(prompt);
        assertThat(read.value()).containsExactly(1, 2);
        same(read.origin());
        DeadLetter letter = letter();
        assertThat(((Inbound.Rejected) roundTrip(RecordTypes.INBOUND, new Inbound.Rejected(letter))).letter())
                .isEqualTo(letter);
        assertThat(roundTrip(RecordTypes.INBOUND, new Inbound.Cancel("r ✓"))).isEqualTo(new Inbound.Cancel("r ✓"));
    }

    @Test
    void outcomesCross() throws IOException {
        Completion completion = new Completion();
        completion.setId("r");
        completion.setText("done ✓");
        completion.setFinishReason("stop");
        completion.setStopReason("✓");
        completion.setModel("m");
        completion.setModelFingerprint("f");
        completion.setBackend("b");
        Outbound.Completed read =
                (Outbound.Completed) roundTrip(RecordTypes.OUTBOUND, new Outbound.Completed(completion, "key", ORIGIN));
        assertThat(read.completion()).isEqualTo(completion);
        assertThat(read.key()).isEqualTo("key");
        same(read.origin());
        DeadLetter letter = letter();
        assertThat(((Outbound.DeadLettered) roundTrip(RecordTypes.OUTBOUND, new Outbound.DeadLettered(letter)))
                        .letter())
                .isEqualTo(letter);
    }

    @Test
    void chunksAndMetricsCross() throws IOException {
        TokenChunk chunk = new TokenChunk();
        chunk.setId("r");
        chunk.setText("piece");
        chunk.setTokenIds(List.of(1, 2));
        chunk.setModel("m");
        KeyedChunk read = roundTrip(RecordTypes.CHUNKS.getTypeInfo(), new KeyedChunk("key", chunk));
        assertThat(read.chunk()).isEqualTo(chunk);
        assertThat(read.key()).isEqualTo("key");
        ServingBench bench = new ServingBench(1);
        bench.serving.tick();
        Metric metric = bench.metrics.get(0);
        metric.setJob("j");
        metric.setModelName("m");
        metric.setBackend("b");
        assertThat(roundTrip(RecordTypes.METRICS.getTypeInfo(), metric)).isEqualTo(metric);
    }

    private static DeadLetter letter() {
        return DeadLetters.of(
                ORIGIN,
                new byte[] {9},
                new DeadLetters.Reason("decode", "BAD_AVRO", "f", "Cannot decode.", true, "r", 4, "X"),
                77);
    }

    @Test
    void aRecordTooLargeForTheTopicIsCutAndDescribed() {
        byte[] huge = new byte[2_000_000];
        DeadLetter letter = DeadLetters.of(
                ORIGIN,
                huge,
                new DeadLetters.Reason("decode", "RECORD_TOO_LARGE", null, "m", false, null, null, null),
                0);
        assertThat(letter.getTruncated()).isTrue();
        assertThat(letter.getValue().remaining()).isLessThan(1_000_000);
        assertThat(letter.getOrigLength()).isEqualTo(2_000_000L);
        assertThat(letter.getOrigSha256()).hasSize(64);
    }
}
