package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.freshet.schema.Prompt;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificRecord;
import org.junit.jupiter.api.Tag;

/**
 * Bytes that a topic or a registry may hold. Whatever they are, decoding answers with a value or a refusal, in little memory; a value
 * survives being written and read again.
 */
@Tag("fuzz")
final class RecordFuzzTest {

    private static final WireOptions OPTIONS = WireOptions.defaults();

    /** Sixteen times what a megabyte of input could decently need. */
    private static final long MOST_BYTES = 16 * Allocations.EIGHT_MIB;

    private static <T extends SpecificRecord> void decode(WireFormat format, RecordType<T> type, byte[] bytes) {
        RecordDecoder<T> decoder = format.decoder(type);
        // The first time the classes are loaded, and instrumented, in this thread.
        Decoded<T> decoded = decoder.decode(bytes);
        long before = Allocations.now();
        assertThat(decoder.decode(bytes)).isInstanceOf(decoded.getClass());
        assertThat(Allocations.now() - before).isLessThan(MOST_BYTES);
        if (decoded instanceof Decoded.Refused<T> refused) {
            assertThat(refused.message()).matches("(?s)Cannot decode .+: .+\\.");
        } else {
            byte[] again = format.encoder(type, "t").encode(((Decoded.Value<T>) decoded).value());
            Decoded<T> back = decoder.decode(again);
            assertThat(back).isInstanceOf(Decoded.Value.class);
            assertThat(format.encoder(type, "t").encode(((Decoded.Value<T>) back).value()))
                    .isEqualTo(again);
        }
    }

    @FuzzTest
    void promptJson(byte[] bytes) {
        decode(WireFormat.of("json", OPTIONS), RecordType.PROMPT, bytes);
        RecordDecoder<Prompt> strict =
                WireFormat.of("json", OPTIONS.withStrict(true)).decoder(RecordType.PROMPT);
        assertThat(strict.decode(bytes)).isNotNull();
    }

    @FuzzTest
    void answerJson(byte[] bytes) {
        if (bytes.length == 0) {
            return;
        }
        byte[] rest = Arrays.copyOfRange(bytes, 1, bytes.length);
        WireFormat json = WireFormat.of("json", OPTIONS);
        switch (bytes[0] & 3) {
            case 0 -> decode(json, RecordType.COMPLETION, rest);
            case 1 -> decode(json, RecordType.TOKEN_CHUNK, rest);
            default -> decode(json, RecordType.METRIC, rest);
        }
    }

    /** The first byte chooses the type; without a header of their own, the bytes get that of the newest schema. */
    @FuzzTest
    void avro(byte[] bytes) {
        if (bytes.length < 2) {
            return;
        }
        RecordType<?> type = Samples.TYPES.get((bytes[0] & 0xFF) % Samples.TYPES.size());
        byte[] rest = Arrays.copyOfRange(bytes, 1, bytes.length);
        WireFormat avro = WireFormat.of("avro", OPTIONS);
        decode(avro, type, rest);
        byte[] framed = Arrays.copyOf(header(avro, type), 10 + rest.length);
        System.arraycopy(rest, 0, framed, 10, rest.length);
        decode(avro, type, framed);
    }

    private static <T extends SpecificRecord> byte[] header(WireFormat avro, RecordType<T> type) {
        byte[] whole = avro.encoder(type, "t").encode(type.type().cast(Samples.minimal(type)));
        return Arrays.copyOf(whole, 10);
    }

    /** A schema that a registry answers with. */
    @FuzzTest
    void writerSchema(FuzzedDataProvider data) {
        String text = data.consumeRemainingAsString();
        try {
            Schema schema = WriterSchemas.parse(text, RecordType.PROMPT);
            assertThat(schema.getType()).isEqualTo(Schema.Type.RECORD);
        } catch (WriterSchemas.Unusable e) {
            assertThat(e.reason()).startsWith("expected ");
        }
    }

    @FuzzTest
    void headers(FuzzedDataProvider data) {
        List<Header> headers = new ArrayList<>();
        while (data.remainingBytes() > 0 && headers.size() < 200) {
            String name = data.pickValue(new String[] {"ce_id", "kafka_replyTopic", "__llm.errors.code", "x"})
                    + data.consumeString(3);
            headers.add(new Header(name, data.consumeBoolean() ? data.consumeBytes(300) : null));
        }
        assertThat(InboundHeaders.fallbackId(headers, "prompts", 3, 7))
                .isNotBlank()
                .hasSizeLessThanOrEqualTo(256);
        assertThat(InboundHeaders.replyTopic(headers, Set.of("mine"))).isIn("mine", null);
        InboundHeaders.Kept kept = InboundHeaders.keep(headers, name -> true);
        assertThat(kept.headers()).hasSizeLessThanOrEqualTo(InboundHeaders.MAX_HEADERS);
        assertThat(kept.headers()).noneMatch(h -> h.name().startsWith("__llm."));
    }
}
