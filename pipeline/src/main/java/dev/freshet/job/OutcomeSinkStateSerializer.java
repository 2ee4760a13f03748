package dev.freshet.job;

import dev.freshet.operator.Outbound;
import dev.freshet.operator.OutboundSerializer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.apache.flink.connector.kafka.sink.KafkaWriterState;
import org.apache.flink.core.io.SimpleVersionedSerialization;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.kafka.common.TopicPartition;

/**
 * The layout of {@link OutcomeSinkState} in checkpoints: CRC32C, length and bytes of the Kafka sink's state, then the transactions.
 * A state with the wrong checksum is refused: a wrong outcome must not be written. Every released version stays readable.
 * Confined to one thread.
 */
final class OutcomeSinkStateSerializer implements SimpleVersionedSerializer<OutcomeSinkState> {

    static final int VERSION = 1;

    private static final int MOST = 1 << 26;

    private final SimpleVersionedSerializer<KafkaWriterState> kafka;
    private final OutboundSerializer outcomes = new OutboundSerializer();

    OutcomeSinkStateSerializer(SimpleVersionedSerializer<KafkaWriterState> kafka) {
        this.kafka = kafka;
    }

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(OutcomeSinkState state) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(256);
        out.writeInt(0);
        byte[] inner = SimpleVersionedSerialization.writeVersionAndSerialize(kafka, state.kafka());
        out.writeInt(inner.length);
        out.write(inner);
        out.writeInt(state.sent().size());
        for (Sent sent : state.sent()) {
            out.writeUTF(sent.transaction().id());
            out.writeLong(sent.transaction().producerId());
            out.writeShort(sent.transaction().epoch());
            offsets(sent.from(), out);
            offsets(sent.to(), out);
            out.writeInt(sent.outcomes().size());
            for (Outbound outcome : sent.outcomes()) {
                outcomes.serialize(outcome, out);
            }
        }
        byte[] bytes = out.getCopyOfBuffer();
        DataOutputSerializer checked = new DataOutputSerializer(bytes.length);
        checked.writeInt(checksum(bytes));
        checked.write(bytes, Integer.BYTES, bytes.length - Integer.BYTES);
        return checked.getCopyOfBuffer();
    }

    /** In a fixed order, so that equal states are equal bytes. */
    private static void offsets(Map<TopicPartition, Long> offsets, DataOutputSerializer out) throws IOException {
        out.writeInt(offsets.size());
        List<TopicPartition> partitions = new ArrayList<>(offsets.keySet());
        partitions.sort(Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition));
        for (TopicPartition partition : partitions) {
            out.writeUTF(partition.topic());
            out.writeInt(partition.partition());
            out.writeLong(offsets.getOrDefault(partition, 0L));
        }
    }

    @Override
    public OutcomeSinkState deserialize(int version, byte[] bytes) throws IOException {
        if (version != VERSION) {
            throw new IOException("Cannot restore the sink: expected state version " + VERSION + ", got " + version
                    + ". Run the Freshet that wrote the checkpoint, or a newer one.");
        }
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        if (in.readInt() != checksum(bytes)) {
            throw new IOException("Cannot restore the sink: expected the checksum of its state to match, got another."
                    + " Restore an older checkpoint.");
        }
        byte[] inner = new byte[count(in)];
        in.readFully(inner);
        KafkaWriterState writer = SimpleVersionedSerialization.readVersionAndDeSerialize(kafka, inner);
        int transactions = count(in);
        List<Sent> sent = new ArrayList<>();
        for (int i = 0; i < transactions; i++) {
            Sent.Transaction transaction = new Sent.Transaction(in.readUTF(), in.readLong(), in.readShort());
            Map<TopicPartition, Long> from = offsets(in);
            Map<TopicPartition, Long> to = offsets(in);
            int count = count(in);
            List<Outbound> written = new ArrayList<>();
            for (int j = 0; j < count; j++) {
                written.add(outcomes.deserialize(in));
            }
            sent.add(new Sent(transaction, from, to, written));
        }
        return new OutcomeSinkState(writer, sent);
    }

    private static Map<TopicPartition, Long> offsets(DataInputDeserializer in) throws IOException {
        int count = count(in);
        Map<TopicPartition, Long> offsets = new HashMap<>();
        for (int i = 0; i < count; i++) {
            offsets.put(new TopicPartition(in.readUTF(), in.readInt()), in.readLong());
        }
        return offsets;
    }

    private static int count(DataInputDeserializer in) throws IOException {
        int count = in.readInt();
        if (count < 0 || count > MOST) {
            throw new IOException("Cannot restore the sink: expected a count from 0 to " + MOST + ", got " + count
                    + ". Restore an older checkpoint.");
        }
        return count;
    }

    /** Over everything behind the checksum itself. */
    private static int checksum(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, Integer.BYTES, bytes.length - Integer.BYTES);
        return (int) crc.getValue();
    }
}
