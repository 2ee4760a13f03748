package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.engine.Continuation;
import dev.freshet.engine.SequenceState;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Objects;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

class ConversationSerializerTest {

    private static final Conversation EXAMPLE = new Conversation(
            "cafe",
            3,
            new Continuation(
                    new int[] {1, 5, 7, 11},
                    3,
                    new SequenceState("vector/own/0011223344556677", new float[] {0.5f, -1.25f, 3e-39f}, null)));

    static byte[] write(Conversation one) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(64);
        new ConversationSerializer().serialize(one, out);
        return out.getCopyOfBuffer();
    }

    static Conversation read(byte[] bytes) throws IOException {
        return new ConversationSerializer().deserialize(new DataInputDeserializer(bytes));
    }

    private static String text(Conversation c) {
        SequenceState state = c.end().state();
        return c.model()
                + c.turns()
                + Arrays.toString(c.end().ids())
                + c.end().committed()
                + (state == null
                        ? ""
                        : state.model() + Arrays.toString(state.values()) + Arrays.toString(state.hidden()));
    }

    private static Conversation withoutState() {
        return new Conversation(EXAMPLE.model(), EXAMPLE.turns(), EXAMPLE.end().withoutState());
    }

    @Test
    void versionOneIsReadAndWrittenAsReleased() throws IOException {
        try (InputStream in = ConversationSerializerTest.class.getResourceAsStream("/state/conversation-v1.hex")) {
            String released = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.US_ASCII).strip();
            assertThat(HexFormat.of().formatHex(write(EXAMPLE))).isEqualTo(released);
            assertThat(text(read(HexFormat.of().parseHex(released)))).isEqualTo(text(EXAMPLE));
        }
        assertThat(text(read(write(withoutState())))).isEqualTo(text(withoutState()));
    }

    /** Every bit of every field: damage costs the state, or the session, or the restore; it never passes for data. */
    @Test
    void damageNeverPassesForData() throws IOException {
        byte[] whole = write(EXAMPLE);
        int[] counts = new int[3];
        for (int bit = 0; bit < 8 * whole.length; bit++) {
            byte[] bytes = whole.clone();
            bytes[bit / 8] ^= (byte) (1 << bit % 8);
            try {
                Conversation read = read(bytes);
                if (read == Conversation.UNREADABLE) {
                    counts[0]++;
                } else {
                    counts[1]++;
                    assertThat(text(read)).isEqualTo(text(withoutState()));
                }
            } catch (IOException e) {
                counts[2]++;
            }
        }
        assertThat(counts[0]).isGreaterThan(100);
        assertThat(counts[1]).isGreaterThan(100);
        assertThat(counts[2]).as("only the version is beyond repair").isEqualTo(32);
    }

    @Test
    void whatIsMissingAtTheEndCostsTheStateFirst() throws IOException {
        byte[] whole = write(EXAMPLE);
        for (int length = 4; length < whole.length; length++) {
            Conversation read = read(Arrays.copyOf(whole, length));
            assertThat(read == Conversation.UNREADABLE || text(read).equals(text(withoutState())))
                    .isTrue();
        }
        assertThat(text(read(Arrays.copyOf(whole, whole.length - 1)))).isEqualTo(text(withoutState()));
    }

    @Test
    void anUnknownVersionIsRefused() throws IOException {
        byte[] bytes = write(EXAMPLE);
        bytes[3] = 2;
        assertThatThrownBy(() -> read(bytes))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("version of 1, got 2");
    }
}
