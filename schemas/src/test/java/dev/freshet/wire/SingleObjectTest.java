package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Prompt;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.avro.specific.SpecificData;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class SingleObjectTest {

    private static final WireFormat WIRE = WireFormat.of("avro", WireOptions.defaults());

    private final RecordDecoder<Prompt> decoder = WIRE.decoder(RecordType.PROMPT);
    private final byte[] good = WIRE.encoder(RecordType.PROMPT, "t").encode(Samples.prompt());

    private Decoded.Refused<Prompt> refused(byte[] bytes) {
        Decoded<Prompt> decoded = decoder.decode(bytes);
        assertThat(decoded).isInstanceOf(Decoded.Refused.class);
        return (Decoded.Refused<Prompt>) decoded;
    }

    @Test
    void bytesAreThoseOfAvrosOwnMessageEncoder() throws IOException {
        byte[] theirs = new BinaryMessageEncoder<Prompt>(SpecificData.get(), Prompt.getClassSchema())
                .encode(Samples.prompt())
                .array();
        assertThat(good).isEqualTo(Arrays.copyOf(theirs, good.length));
    }

    @Test
    void worksWithoutAnySystemPropertyOfAvro() {
        assertThat(System.getProperties().stringPropertyNames()).noneMatch(name -> name.startsWith("org.apache.avro"));
        assertThat(decoder.decode(good)).isEqualTo(new Decoded.Value<>(Samples.prompt()));
    }

    @Test
    void nothingIsBadAvro() {
        assertThat(((Decoded.Refused<Prompt>) decoder.decode(null)).code()).isEqualTo(WireCodes.BAD_AVRO);
        assertThat(refused(new byte[0]).code()).isEqualTo(WireCodes.BAD_AVRO);
    }

    @Test
    void otherMagicIsBadAvro() {
        for (int at = 0; at < 2; at++) {
            byte[] bytes = good.clone();
            bytes[at]++;
            assertThat(refused(bytes).code()).isEqualTo(WireCodes.BAD_AVRO);
        }
    }

    @Test
    void otherFingerprintIsAnUnknownSchema() {
        byte[] bytes = good.clone();
        bytes[9] ^= 1;
        assertThat(refused(bytes).code()).isEqualTo(WireCodes.UNKNOWN_SCHEMA_ID);
    }

    @Test
    void recordOfAnotherTypeIsAnUnknownSchema() {
        byte[] completion = WIRE.encoder(RecordType.COMPLETION, "t").encode(Samples.completion());
        assertThat(refused(completion).code()).isEqualTo(WireCodes.UNKNOWN_SCHEMA_ID);
    }

    @Test
    void bytesBehindTheRecordAreBadAvro() {
        Decoded.Refused<Prompt> refusal = refused(Arrays.copyOf(good, good.length + 3));
        assertThat(refusal.code()).isEqualTo(WireCodes.BAD_AVRO);
        assertThat(refusal.message()).contains("expected the end of the record, got 3 more bytes");
        assertThat(refusal.id()).isEqualTo("r-1");
    }

    @Test
    void oversizeIsRefusedUnread() {
        byte[] large = new byte[(1 << 20) + 1];
        long before = Allocations.now();
        Decoded.Refused<Prompt> refusal = refused(large);
        assertThat(Allocations.now() - before).isLessThan(64 << 10);
        assertThat(refusal.code()).isEqualTo(WireCodes.RECORD_TOO_LARGE);
        assertThat(refusal.message()).contains("at most 1048576 bytes, got 1048577");
    }

    @Test
    void promptUpToTheLimitComesThroughWhole() {
        Prompt p = Samples.prompt();
        p.setMessages(null);
        p.setPrompt("x".repeat((1 << 20) - 1000));
        byte[] bytes = WIRE.encoder(RecordType.PROMPT, "t").encode(p);
        assertThat(decoder.decode(bytes)).isEqualTo(new Decoded.Value<>(p));
    }

    @Test
    void damagedTextIsRefusedWithFieldAndId() {
        for (byte[] text : new byte[][] {
            {(byte) 0xC0, (byte) 0x80}, // overlong NUL
            {(byte) 0xED, (byte) 0xA0, (byte) 0x80}, // a surrogate
            {(byte) 0xF4, (byte) 0x90, (byte) 0x80, (byte) 0x80}, // beyond U+10FFFF
            {(byte) 0xE2, (byte) 0x82}, // cut short
            {'a', (byte) 0xFF}
        }) {
            // The prompt's text is replaced by damage of the same length.
            Prompt p = Prompt.newBuilder()
                    .setId("r-9")
                    .setPrompt("z".repeat(text.length))
                    .build();
            byte[] bytes = WIRE.encoder(RecordType.PROMPT, "t").encode(p);
            int at = new String(bytes, StandardCharsets.ISO_8859_1).indexOf("z".repeat(text.length));
            System.arraycopy(text, 0, bytes, at, text.length);
            Decoded.Refused<Prompt> refusal = refused(bytes);
            assertThat(refusal.code()).isEqualTo(WireCodes.INVALID_UTF8);
            assertThat(refusal.field()).isEqualTo("prompt");
            assertThat(refusal.id()).isEqualTo("r-9");
        }
    }

    @Test
    void replacementCharacterItselfIsNoDamage() {
        Prompt p = Prompt.newBuilder().setPrompt("a\uFFFDb").build();
        assertThat(decoder.decode(WIRE.encoder(RecordType.PROMPT, "t").encode(p)))
                .isEqualTo(new Decoded.Value<>(p));
    }

    /** Writes the fields of a prompt by hand. */
    private interface Hand {
        void write(BinaryEncoder out) throws IOException;
    }

    /** Bytes of a prompt of which everything up to messages is null, and the rest is hostile. */
    private byte[] bomb(int nullsBefore, Hand hostile) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.write(good, 0, 10);
        BinaryEncoder out = EncoderFactory.get().directBinaryEncoder(bytes, null);
        try {
            for (int i = 0; i < nullsBefore; i++) {
                out.writeIndex(0);
            }
            hostile.write(out);
            out.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    /** Offsets count union fields: id 0, model 1, prompt 2, messages 3, prompt_token_ids 4. */
    private Map<String, byte[]> bombs() {
        Map<String, byte[]> all = new LinkedHashMap<>();
        all.put("string of 2 GB", bomb(2, out -> {
            out.writeIndex(1);
            out.writeLong(Integer.MAX_VALUE);
        }));
        all.put("string longer than a long", bomb(2, out -> {
            out.writeIndex(1);
            out.writeFixed(new byte[] {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1});
        }));
        all.put("string of negative length", bomb(2, out -> {
            out.writeIndex(1);
            out.writeLong(-2);
        }));
        for (long count : new long[] {1L << 31, (1L << 31) - 1, 1L << 62, Long.MAX_VALUE, Long.MIN_VALUE, 300_000}) {
            all.put("messages block of " + count, bomb(3, out -> {
                out.writeIndex(1);
                out.writeLong(count);
            }));
            all.put("token ids block of " + count, bomb(4, out -> {
                out.writeIndex(1);
                out.writeLong(count);
            }));
        }
        all.put("negative block with a lying size", bomb(4, out -> {
            out.writeIndex(1);
            out.writeLong(-5);
            out.writeLong(1L << 40);
        }));
        all.put("negative block with a negative size", bomb(4, out -> {
            out.writeIndex(1);
            out.writeLong(-5);
            out.writeLong(-1);
        }));
        all.put("blocks without end", bomb(4, out -> {
            out.writeIndex(1);
            for (int i = 0; i < 300_000; i++) {
                out.writeLong(1);
                out.writeInt(0);
            }
        }));
        all.put("union branch that is not there", bomb(2, out -> out.writeIndex(7)));
        all.put("negative union branch", bomb(2, out -> out.writeIndex(-1)));
        all.put("int of 64 bits", bomb(4, out -> {
            out.writeIndex(1);
            out.writeLong(1);
            out.writeLong(1L << 40);
        }));
        return all;
    }

    @TestFactory
    Stream<DynamicTest> bombsAreBadAvroAndStaySmall() {
        return bombs().entrySet().stream()
                .map(bomb -> DynamicTest.dynamicTest(bomb.getKey(), () -> {
                    long before = Allocations.now();
                    Decoded.Refused<Prompt> refusal = refused(bomb.getValue());
                    assertThat(Allocations.now() - before).isLessThan(Allocations.EIGHT_MIB);
                    assertThat(refusal.code()).isEqualTo(WireCodes.BAD_AVRO);
                }));
    }
}
