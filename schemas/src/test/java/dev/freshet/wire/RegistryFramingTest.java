package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.schema.Prompt;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.avro.specific.SpecificRecord;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RegistryFramingTest {

    /** Longer than any pause of a busy machine. */
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    /** Waited out in full by the tests of a registry that never answers. */
    private static final Duration LITTLE_PATIENCE = Duration.ofMillis(200);

    private static final long MINUTE = 60_000_000_000L;

    private final FakeRegistry registry = new FakeRegistry();
    private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - MINUTE);

    @AfterEach
    void stop() {
        registry.close();
    }

    private WireFormat wire() {
        return WireFormat.of(
                "avro-registry",
                WireOptions.defaults().withRegistry(registry.address()).withRegistryTimeout(Duration.ofSeconds(30)));
    }

    private RecordDecoder<Prompt> decoder() {
        return decoder(PATIENCE);
    }

    private RecordDecoder<Prompt> decoder(Duration patience) {
        RegistryClient client = new RegistryClient(registry.address(), patience);
        return new LimitedDecoder<>(
                RecordType.PROMPT,
                WireCodes.BAD_AVRO,
                1 << 20,
                new RegistryFraming.Reader<>(RecordType.PROMPT, client, clock::get));
    }

    /** A prompt in our own schema under any id. */
    private static byte[] record(int id) {
        byte[] single = WireFormat.of("avro", WireOptions.defaults())
                .encoder(RecordType.PROMPT, "t")
                .encode(Samples.prompt());
        byte[] body = Arrays.copyOfRange(single, 10, single.length);
        return ByteBuffer.allocate(5 + body.length)
                .put((byte) 0)
                .putInt(id)
                .put(body)
                .array();
    }

    private static Decoded.Refused<?> refused(Decoded<?> decoded) {
        assertThat(decoded).isInstanceOf(Decoded.Refused.class);
        return (Decoded.Refused<?>) decoded;
    }

    @Test
    void everyRecordTypeComesBackThroughItsOwnSubject() {
        for (RecordType<?> type : Samples.TYPES) {
            assertComesBack(type);
        }
        assertThat(registry.subjects())
                .containsOnlyKeys(
                        "prompt-value", "completion-value", "token-chunk-value", "metric-value", "dead-letter-value");
    }

    private <T extends SpecificRecord> void assertComesBack(RecordType<T> type) {
        T value = type.type().cast(Samples.full(type));
        RecordEncoder<T> encoder = wire().encoder(type, type.name());
        byte[] bytes = encoder.encode(value);
        assertThat(bytes).startsWith(0, 0, 0, 3);
        assertThat(ByteBuffer.wrap(bytes).getInt(1))
                .isEqualTo(registry.subjects().get(type.name() + "-value"));
        assertThat(wire().decoder(type).decode(bytes)).isEqualTo(new Decoded.Value<>(value));
        int calls = registry.calls();
        assertThat(encoder.encode(value)).isEqualTo(bytes);
        assertThat(registry.calls()).as("the id is asked for once").isEqualTo(calls);
    }

    @Test
    void schemaIsLookedUpOnce() {
        registry.put(7, RecordType.PROMPT.schema().toString());
        RecordDecoder<Prompt> decoder = decoder();
        for (int i = 0; i < 5; i++) {
            assertThat(decoder.decode(record(7))).isEqualTo(new Decoded.Value<>(Samples.prompt()));
        }
        assertThat(registry.calls()).isEqualTo(1);
    }

    @Test
    void cacheIsBoundedAndStillCorrect() {
        RecordDecoder<Prompt> decoder = decoder();
        for (int id = 0; id < 300; id++) {
            registry.put(id, RecordType.PROMPT.schema().toString());
            assertThat(decoder.decode(record(id))).isInstanceOf(Decoded.Value.class);
        }
        assertThat(decoder.decode(record(299))).isInstanceOf(Decoded.Value.class);
        assertThat(registry.calls()).isEqualTo(300);
        assertThat(decoder.decode(record(0))).isInstanceOf(Decoded.Value.class);
        assertThat(registry.calls()).isEqualTo(301);
    }

    @Nested
    class UnknownSchema {

        @Test
        void isRefusedAndNotAskedForAgainWithinAMinute() {
            RecordDecoder<Prompt> decoder = decoder();
            Decoded.Refused<?> refusal = refused(decoder.decode(record(404)));
            assertThat(refusal.code()).isEqualTo(WireCodes.UNKNOWN_SCHEMA_ID);
            assertThat(refusal.schemaId()).isEqualTo(404);
            assertThat(decoder.decode(record(404))).isEqualTo(refusal);
            clock.addAndGet(MINUTE - 1);
            assertThat(decoder.decode(record(404))).isEqualTo(refusal);
            assertThat(registry.calls()).isEqualTo(1);

            registry.put(404, RecordType.PROMPT.schema().toString());
            clock.addAndGet(1);
            assertThat(decoder.decode(record(404))).isInstanceOf(Decoded.Value.class);
        }

        @Test
        void negativeIdIsAnIdLikeAnyOther() {
            assertThat(refused(decoder().decode(record(-1))).code()).isEqualTo(WireCodes.UNKNOWN_SCHEMA_ID);
        }
    }

    @Nested
    class RegistryDown {

        @ParameterizedTest
        @EnumSource(
                value = FakeRegistry.Fault.class,
                names = {"NONE", "REFUSE_409"},
                mode = EnumSource.Mode.EXCLUDE)
        void holdsTheStreamBackAndRefusesNothing(FakeRegistry.Fault fault) {
            registry.put(7, RecordType.PROMPT.schema().toString());
            boolean silent = fault == FakeRegistry.Fault.HANG || fault == FakeRegistry.Fault.DRIP;
            RecordDecoder<Prompt> decoder = decoder(silent ? LITTLE_PATIENCE : PATIENCE);
            registry.set(fault);
            assertThatThrownBy(() -> decoder.decode(record(7)))
                    .isInstanceOf(RegistryUnavailable.class)
                    .hasMessageStartingWith("Cannot ask the schema registry: expected an answer, got ");
            registry.set(FakeRegistry.Fault.NONE);
            RecordDecoder<Prompt> later = silent ? decoder() : decoder;
            assertThat(later.decode(record(7))).isEqualTo(new Decoded.Value<>(Samples.prompt()));
        }

        @Test
        void alsoWhenNobodyListens() {
            registry.close();
            assertThatThrownBy(() -> decoder().decode(record(7))).isInstanceOf(RegistryUnavailable.class);
        }

        @Test
        void holdsTheWriterBackToo() {
            registry.set(FakeRegistry.Fault.STATUS_500);
            RecordEncoder<Prompt> encoder = wire().encoder(RecordType.PROMPT, "prompts");
            assertThatThrownBy(() -> encoder.encode(Samples.prompt())).isInstanceOf(RegistryUnavailable.class);
            registry.set(FakeRegistry.Fault.NONE);
            assertThat(encoder.encode(Samples.prompt())).hasSizeGreaterThan(5);
        }

        @Test
        void refusedSchemaIsAMistakeOfTheOperator() {
            registry.set(FakeRegistry.Fault.REFUSE_409);
            RecordEncoder<Prompt> encoder = wire().encoder(RecordType.PROMPT, "prompts");
            assertThatThrownBy(() -> encoder.encode(Samples.prompt()))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("as prompts-value, got status 409");
        }
    }

    @Nested
    class HostileSchema {

        private void assertIncompatible(String reason) {
            long before = Allocations.now();
            Decoded.Refused<?> refusal = refused(decoder().decode(record(7)));
            assertThat(Allocations.now() - before).isLessThan(Allocations.EIGHT_MIB);
            assertThat(refusal.code()).isEqualTo(WireCodes.SCHEMA_INCOMPATIBLE);
            assertThat(refusal.schemaId()).isEqualTo(7);
            assertThat(refusal.message()).contains(reason);
        }

        @Test
        void tenMegabytes() {
            registry.put(7, "\"" + "x".repeat(10 << 20) + "\"");
            assertIncompatible("at most 262144 bytes");
        }

        @Test
        void longerThanTheLimit() {
            registry.put(7, " ".repeat(300 << 10) + "\"string\"");
            assertIncompatible("at most 262144 characters, got 307208");
        }

        @Test
        void recursive() {
            registry.put(
                    7,
                    "{\"type\":\"record\",\"name\":\"Prompt\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"Prompt\"]}]}");
            assertIncompatible("without recursion");
        }

        @Test
        void deeplyNested() {
            registry.put(7, "[".repeat(100_000) + "]".repeat(100_000));
            assertIncompatible("that Avro can parse");
            registry.put(
                    8,
                    "{\"type\":\"record\",\"name\":\"P\",\"fields\":[{\"name\":\"a\",\"type\":"
                            + "{\"type\":\"array\",\"items\":".repeat(60)
                            + "\"null\""
                            + "}".repeat(60)
                            + "}]}");
            assertThat(refused(decoder().decode(record(8))).message()).contains("32 levels");
        }

        @Test
        void doublingAtEachLevel() {
            // Level i holds two fields of level i + 1, so that the tree has 2^25 leaves in a few kilobytes.
            String levels = IntStream.rangeClosed(0, 25)
                    .mapToObj(i -> 25 - i)
                    .map(i -> "{\"type\":\"record\",\"name\":\"L" + i + "\",\"fields\":["
                            + (i == 25
                                    ? ""
                                    : "{\"name\":\"a\",\"type\":@},{\"name\":\"b\",\"type\":\"L" + (i + 1) + "\"}")
                            + "]}")
                    .reduce((inner, outer) -> outer.replace("@", inner))
                    .orElseThrow();
            registry.put(7, levels);
            assertIncompatible("10000 types");
        }

        @Test
        void notASchema() {
            for (String text :
                    new String[] {"", "nonsense", "{}", "[]", "42", "{\"type\":\"record\"}", "\"Unknown\""}) {
                registry.put(7, text);
                assertThat(refused(decoder().decode(record(7))).code())
                        .as(text)
                        .isEqualTo(WireCodes.SCHEMA_INCOMPATIBLE);
            }
        }

        @Test
        void anotherKindOfSchema() {
            registry.putAnswer(7, "{\"schemaType\":\"PROTOBUF\",\"schema\":\"message Prompt {}\"}");
            assertIncompatible("expected an Avro schema");
            registry.putAnswer(8, "{\"schema\":\"\\\"string\\\"\",\"references\":[{\"name\":\"a\"}]}");
            assertThat(refused(decoder().decode(record(8))).message()).contains("stands alone");
        }

        @Test
        void javaClassNeverNamesAClass() {
            String bomb =
                    "{\"type\":\"record\",\"name\":\"Prompt\",\"fields\":[{\"name\":\"prompt\",\"type\":{\"type\":"
                            + "\"string\",\"java-class\":\"dev.freshet.wire.Exploding\"}},{\"name\":\"id\",\"type\":{\"type\":\"string\","
                            + "\"avro.java.string\":\"Exploding\"}}]}";
            registry.put(7, bomb);
            byte[] bytes = {0, 0, 0, 0, 7, 4, 'h', 'i', 2, 'x'};
            Decoded<Prompt> decoded = decoder().decode(bytes);
            assertThat(decoded)
                    .isEqualTo(new Decoded.Value<>(
                            Prompt.newBuilder().setId("x").setPrompt("hi").build()));
        }
    }

    @Test
    void otherFramingIsBadAvro() {
        for (byte[] bytes :
                new byte[][] {{1, 0, 0, 0, 7, 0}, {0}, {0, 0, 0, 7}, {(byte) 0xC3, 1, 0, 0, 0, 0, 0, 0, 0, 0}}) {
            assertThat(refused(decoder().decode(bytes)).code()).isEqualTo(WireCodes.BAD_AVRO);
        }
        assertThat(refused(decoder().decode(null)).message()).contains("a tombstone");
        assertThat(registry.calls()).isZero();
    }

    @Test
    void addressMayEndWithASlash() {
        registry.put(7, RecordType.PROMPT.schema().toString());
        WireFormat wire = WireFormat.of(
                "avro-registry",
                WireOptions.defaults()
                        .withRegistry(URI.create(registry.address() + "/"))
                        .withRegistryTimeout(PATIENCE));
        assertThat(wire.decoder(RecordType.PROMPT).decode(record(7))).isInstanceOf(Decoded.Value.class);
    }

    @Test
    void messagesNameNoContent() {
        String text = IntStream.range(0, 5).mapToObj(i -> "canary").collect(Collectors.joining());
        registry.put(7, "{\"" + text + "\":1}");
        assertThat(refused(decoder().decode(record(7))).message()).doesNotContain("canary");
    }
}
