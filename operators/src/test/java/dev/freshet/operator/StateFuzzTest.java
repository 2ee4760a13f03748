package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;

/**
 * Stored state that somebody changed. Damage that the checksums see is one matter; here they are right, and the parts behind them are
 * hostile: reading ends with a record or an IOException, never with another exception or much memory.
 */
@Tag("fuzz")
final class StateFuzzTest {

    private static <T> @Nullable T read(TypeSerializer<T> serializer, byte[] bytes) {
        try {
            return serializer.deserialize(new DataInputDeserializer(bytes));
        } catch (IOException e) {
            return null;
        }
    }

    /** What was read can be written, and is the same when it is read again. */
    private static <T> void roundTrip(TypeSerializer<T> serializer, byte[] bytes) throws IOException {
        T read = read(serializer, bytes);
        if (read != null) {
            byte[] once = write(serializer, read);
            assertThat(write(serializer, serializer.deserialize(new DataInputDeserializer(once))))
                    .isEqualTo(once);
        }
    }

    private static <T> byte[] write(TypeSerializer<T> serializer, T record) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(256);
        serializer.serialize(record, out);
        return out.getCopyOfBuffer();
    }

    /** A version and parts with checksums that fit them, then floats as they come. */
    private static byte[] sealed(FuzzedDataProvider data, int version, int parts) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(256);
        out.writeInt(data.consumeInt(0, version));
        for (int i = 0; i < parts; i++) {
            SealedParts.write(data.consumeBytes(data.consumeInt(0, 1000)), out);
        }
        byte[] floats = data.consumeRemainingAsBytes();
        out.write(floats);
        out.writeInt(SealedParts.checksum(floats));
        return out.getCopyOfBuffer();
    }

    @FuzzTest
    void inFlight(byte[] bytes) throws IOException {
        roundTrip(new InFlightSerializer(), bytes);
        try {
            assertThat(InFlightSerializer.deserialize(1, bytes)).isNotNull();
        } catch (IOException e) {
            assertThat(e.getMessage()).startsWith("Cannot ");
        }
    }

    @FuzzTest
    void sealedInFlight(FuzzedDataProvider data) throws IOException {
        roundTrip(new InFlightSerializer(), sealed(data, InFlightSerializer.VERSION, 3));
    }

    @FuzzTest
    void conversation(byte[] bytes) throws IOException {
        roundTrip(new ConversationSerializer(), bytes);
    }

    @FuzzTest
    void sealedConversation(FuzzedDataProvider data) throws IOException {
        roundTrip(new ConversationSerializer(), sealed(data, ConversationSerializer.VERSION, 2));
    }

    /** Ids, cancellations and records between operators, which have no checksums. */
    @FuzzTest
    void plain(byte[] bytes) throws IOException {
        if (bytes.length < 2) {
            return;
        }
        byte[] rest = java.util.Arrays.copyOfRange(bytes, 1, bytes.length);
        byte[] framed = ByteBuffer.allocate(4 + rest.length)
                .putInt(rest.length)
                .put(rest)
                .array();
        try {
            switch (bytes[0] & 7) {
                case 0 -> new RecentIds(100).addAll(rest);
                case 1 -> new CancelledIds().addAll(rest);
                case 2 -> roundTrip(new InboundSerializer(), framed);
                case 3 -> roundTrip(new OutboundSerializer(), framed);
                case 4 -> roundTrip(new ChunkSerializer(), framed);
                default -> roundTrip(new MetricSerializer(), framed);
            }
        } catch (IOException e) {
            assertThat(e.getMessage()).startsWith("Cannot ");
        }
    }
}
