package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.SequenceState;
import dev.freshet.engine.SequenceStats;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SessionTurn;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.Logprobs;
import dev.freshet.wire.Header;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

class InFlightSerializerTest {

    /** The stored form of a sequence. */
    static byte[] write(InFlight one) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(64);
        new InFlightSerializer().serialize(one, out);
        return out.getCopyOfBuffer();
    }

    /** A sequence from its stored form. */
    static InFlight read(byte[] bytes) throws IOException {
        return new InFlightSerializer().deserialize(new DataInputDeserializer(bytes));
    }

    private static InFlight example() {
        SamplingParams params = SamplingParams.builder()
                .maxTokens(40)
                .minTokens(2)
                .temperature(0.7)
                .topP(0.9)
                .topK(50)
                .minP(0.05)
                .repetitionPenalty(1.1)
                .presencePenalty(0.5)
                .frequencyPenalty(-0.25)
                .logitBias(Map.of(7, -100.0, 3, 1.5))
                .stop(List.of("\n\n", "Ende ✓"))
                .stopTokenIds(List.of(2, 9))
                .includeStop(true)
                .skipSpecialTokens(false)
                .logprobs(2)
                .seed(-42)
                .build();
        Origin origin = new Origin(
                "prompts",
                3,
                1L << 40,
                1_700_000_000_000L,
                "key".getBytes(StandardCharsets.UTF_8),
                List.of(new Header("traceparent", new byte[] {1, 2}), new Header("empty", null)));
        Ticket ticket = new Ticket(
                origin,
                "request-1",
                "session-9",
                true,
                true,
                false,
                "echoed ✓",
                1_700_000_000_123L,
                1_700_000_060_000L,
                new SessionTurn("session-9", 4, true));
        SequenceSnapshot sequence = new SequenceSnapshot(
                "prompts-3-1099511627776",
                new int[] {1, 5, 7},
                new int[] {11, 13},
                params,
                SpeculationMode.LOOKUP,
                -3,
                List.of(
                        new Logprobs(11, -0.5, new int[] {11, 4}, new double[] {-0.5, -1.25}),
                        new Logprobs(13, -2.0, new int[] {6, 13}, new double[] {-0.1, -2.0})),
                new SequenceStats(3, 2, 4, 30, 5, 1, 4),
                4,
                new SequenceState(
                        "vector/own/0011223344556677", new float[] {0.5f, -1.25f, 3e-39f}, new float[] {7, -0f}));
        return new InFlight("cafe", ticket, sequence, 2, 12.5, 80.25, 2, new int[] {1, 6});
    }

    private static InFlight withoutState() {
        InFlight one = example();
        return new InFlight(
                one.model(),
                one.ticket(),
                one.sequence().withState(null),
                one.chunks(),
                one.queuedMillis(),
                one.firstTokenMillis(),
                one.cachedTokens(),
                one.opening());
    }

    /** The same as a release before sessions stored it. */
    private static InFlight withoutSession() {
        InFlight one = example();
        Ticket t = one.ticket();
        Ticket alone = new Ticket(
                t.origin(),
                t.id(),
                t.key(),
                t.chat(),
                t.stream(),
                t.returnTokenIds(),
                t.echo(),
                t.arrivedMillis(),
                t.deadlineMillis(),
                null);
        return new InFlight(
                one.model(),
                alone,
                one.sequence(),
                one.chunks(),
                one.queuedMillis(),
                one.firstTokenMillis(),
                0,
                new int[0]);
    }

    private static String stateText(InFlight one) {
        SequenceState state = one.sequence().state();
        return state == null
                ? "none"
                : state.model() + Arrays.toString(state.values()) + Arrays.toString(state.hidden());
    }

    /** Records with arrays have no useful equality, so that text forms are compared. */
    private static String text(InFlight one) {
        Ticket t = one.ticket();
        SequenceSnapshot s = one.sequence();
        StringBuilder out = new StringBuilder();
        out.append(one.model()).append(one.chunks()).append(one.queuedMillis()).append(one.firstTokenMillis());
        out.append(t.id()).append(t.key()).append(t.chat()).append(t.stream()).append(t.returnTokenIds());
        out.append(t.echo()).append(t.arrivedMillis()).append(t.deadlineMillis());
        out.append(t.origin().position()).append(t.origin().timestamp());
        out.append(Arrays.toString(t.origin().key()));
        t.origin().headers().forEach(h -> out.append(h.name()).append(Arrays.toString(h.value())));
        out.append(s.id()).append(s.priority()).append(s.speculation()).append(s.stats());
        out.append(Arrays.toString(s.prompt())).append(Arrays.toString(s.output()));
        s.logprobs().forEach(l -> out.append(l.token())
                .append(l.logprob())
                .append(Arrays.toString(l.topTokens()))
                .append(Arrays.toString(l.topLogprobs())));
        out.append(t.session()).append(one.cachedTokens()).append(Arrays.toString(one.opening()));
        return out.append(s.committed()).append(stateText(one)).toString();
    }

    private static byte[] golden(String name) throws IOException {
        try (InputStream in = InFlightSerializerTest.class.getResourceAsStream("/state/" + name)) {
            return HexFormat.of()
                    .parseHex(new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.US_ASCII).strip());
        }
    }

    @Test
    void versionOneIsReadAsReleased() throws IOException {
        InFlight read = InFlightSerializer.deserialize(1, golden("in-flight-v1.hex"));
        assertThat(text(read)).isEqualTo(text(withoutSession()).replace(stateText(example()), "none"));
        assertThat(read.sequence().params()).isEqualTo(example().sequence().params());
        assertThat(read.sequence().committed()).isEqualTo(4);
    }

    @Test
    void versionTwoIsReadAsReleased() throws IOException {
        assertThat(text(read(golden("in-flight-v2.hex")))).isEqualTo(text(withoutSession()));
    }

    @Test
    void versionThreeIsReadAndWrittenAsReleased() throws IOException {
        byte[] released = golden("in-flight-v3.hex");
        assertThat(HexFormat.of().formatHex(write(example())))
                .isEqualTo(HexFormat.of().formatHex(released));
        assertThat(text(read(released))).isEqualTo(text(example()));
        assertThat(text(read(write(withoutState())))).isEqualTo(text(withoutState()));
        assertThat(text(read(write(withoutSession())))).isEqualTo(text(withoutSession()));
    }

    @Test
    void anUnknownVersionIsRefused() throws IOException {
        byte[] bytes = write(example());
        bytes[3] = 4;
        assertThatThrownBy(() -> read(bytes))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("from 1 to 3, got 4");
        assertThatThrownBy(() -> InFlightSerializer.deserialize(4, bytes)).isInstanceOf(IOException.class);
    }

    /** Every bit of every field: damage costs the state, or the progress, or the restore; it never passes for data. */
    @Test
    void damageNeverPassesForData() throws IOException {
        byte[] whole = write(example());
        int begunAgain = 0;
        int recomputed = 0;
        int refused = 0;
        for (int bit = 0; bit < 8 * whole.length; bit++) {
            byte[] bytes = whole.clone();
            bytes[bit / 8] ^= (byte) (1 << bit % 8);
            InFlight read;
            try {
                read = read(bytes);
            } catch (IOException e) {
                refused++;
                continue;
            }
            assertThat(read.sequence().state()).isNull();
            if (read.sequence().output().length > 0) {
                recomputed++;
                assertThat(text(read)).isEqualTo(text(withoutState()));
            } else {
                begunAgain++;
                assertThat(read.model()).isEmpty();
                assertThat(read.sequence().committed()).isZero();
                assertThat(read.sequence().prompt()).containsExactly(1, 5, 7);
                assertThat(read.sequence().params())
                        .isEqualTo(example().sequence().params());
                assertThat(read.ticket().id()).isEqualTo("request-1");
            }
        }
        assertThat(List.of(begunAgain, recomputed, refused)).allMatch(n -> n > 100);
    }

    @Test
    void whatIsMissingAtTheEndIsComputedAgain() throws IOException {
        byte[] whole = write(example());
        int refused = 0;
        for (int length = 0; length < whole.length; length++) {
            byte[] cut = Arrays.copyOf(whole, length);
            try {
                InFlight read = read(cut);
                assertThat(read.sequence().state()).isNull();
                assertThat(read.sequence().prompt()).containsExactly(1, 5, 7);
            } catch (IOException e) {
                refused++;
            }
        }
        // The request, of which nothing may be missing, is the first part.
        assertThat(refused).isEqualTo(12 + InFlightParts.request(example()).length);
    }

    @Test
    void truncatedVersionOneIsRefused() throws IOException {
        byte[] bytes = golden("in-flight-v1.hex");
        for (int length = 0; length < bytes.length; length++) {
            byte[] cut = Arrays.copyOf(bytes, length);
            assertThatThrownBy(() -> InFlightSerializer.deserialize(1, cut)).isInstanceOf(IOException.class);
        }
    }

    /** More floats than one block, written and read in pieces. */
    @Test
    void largeStatesKeepEveryBit() throws IOException {
        float[] values = new float[40_001];
        for (int i = 0; i < values.length; i++) {
            values[i] = Float.intBitsToFloat(0x3f800000 ^ i * 0x9E3779B1 & 0xBFFFFFFF);
        }
        SequenceState state = new SequenceState("m", values, null);
        SequenceState back = Objects.requireNonNull(
                read(write(example().withState(state))).sequence().state());
        assertThat(bits(back.values())).isEqualTo(bits(values));
        assertThat(back.hidden()).isNull();
    }

    private static int[] bits(float[] values) {
        int[] out = new int[values.length];
        Arrays.setAll(out, i -> Float.floatToRawIntBits(values[i]));
        return out;
    }
}
