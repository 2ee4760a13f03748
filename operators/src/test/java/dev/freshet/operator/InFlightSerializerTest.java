package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.SequenceStats;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.Logprobs;
import dev.freshet.wire.Header;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class InFlightSerializerTest {

    private final InFlightSerializer serializer = new InFlightSerializer();

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
                1_700_000_060_000L);
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
                new SequenceStats(3, 2, 4, 30, 5, 1, 4));
        return new InFlight("cafe", ticket, sequence, 2, 12.5, 80.25);
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
        out.append(java.util.Arrays.toString(t.origin().key()));
        t.origin().headers().forEach(h -> out.append(h.name()).append(java.util.Arrays.toString(h.value())));
        out.append(s.id()).append(s.priority()).append(s.speculation()).append(s.stats());
        out.append(java.util.Arrays.toString(s.prompt())).append(java.util.Arrays.toString(s.output()));
        s.logprobs().forEach(l -> out.append(l.token())
                .append(l.logprob())
                .append(java.util.Arrays.toString(l.topTokens()))
                .append(java.util.Arrays.toString(l.topLogprobs())));
        return out.toString();
    }

    private static byte[] golden(String name) throws IOException {
        try (InputStream in = InFlightSerializerTest.class.getResourceAsStream("/state/" + name)) {
            return HexFormat.of()
                    .parseHex(new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.US_ASCII).strip());
        }
    }

    @Test
    void versionOneIsReadAndWrittenAsReleased() throws IOException {
        byte[] released = golden("in-flight-v1.hex");
        InFlight read = serializer.deserialize(1, released);
        assertThat(text(read)).isEqualTo(text(example()));
        assertThat(read.sequence().params()).isEqualTo(example().sequence().params());
        assertThat(HexFormat.of().formatHex(serializer.serialize(example())))
                .isEqualTo(HexFormat.of().formatHex(released));
    }

    @Test
    void anUnknownVersionIsRefused() {
        assertThatThrownBy(() -> serializer.deserialize(2, serializer.serialize(example())))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("expected state version 1, got 2");
    }

    /** Damage either fails the restore or costs progress; it never changes a request or gives other tokens. */
    @Property(tries = 2000)
    void damageNeverPassesForData(
            @ForAll @IntRange(max = 10_000) int at, @ForAll @IntRange(min = 1, max = 255) int flip) {
        byte[] bytes = serializer.serialize(example());
        bytes[at % bytes.length] ^= (byte) flip;
        InFlight read;
        try {
            read = serializer.deserialize(1, bytes);
        } catch (IOException e) {
            assertThat(e).hasMessageMatching("(?s)Cannot (read|restore) .*");
            return;
        }
        assertThat(read.model()).isEmpty();
        assertThat(read.sequence().output()).isEmpty();
        assertThat(read.sequence().prompt()).containsExactly(1, 5, 7);
        assertThat(read.sequence().params()).isEqualTo(example().sequence().params());
        assertThat(read.ticket().id()).isEqualTo("request-1");
    }

    @Test
    void everyTruncationIsRefused() {
        byte[] bytes = serializer.serialize(example());
        for (int length = 0; length < bytes.length; length++) {
            byte[] cut = java.util.Arrays.copyOf(bytes, length);
            assertThatThrownBy(() -> serializer.deserialize(1, cut)).isInstanceOf(IOException.class);
        }
    }
}
