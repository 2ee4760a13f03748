package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenChunk;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.apache.avro.specific.SpecificRecord;

/** Whatever a record holds, it comes back the same, and a second writing gives the same bytes. */
class RoundTripPropertyTest {

    private static final int TRIES = 150;
    private static final String SEED = "20261124";

    private static final WireFormat AVRO = WireFormat.of("avro", WireOptions.defaults());
    private static final WireFormat JSON = WireFormat.of("json", WireOptions.defaults());

    @Property(tries = TRIES, seed = SEED)
    void promptsInAvro(@ForAll("prompts") Prompt value) {
        assertSame(AVRO, RecordType.PROMPT, value);
    }

    @Property(tries = TRIES, seed = SEED)
    void completionsInAvro(@ForAll("completions") Completion value) {
        assertSame(AVRO, RecordType.COMPLETION, value);
    }

    @Property(tries = TRIES, seed = SEED)
    void chunksInAvro(@ForAll("chunks") TokenChunk value) {
        assertSame(AVRO, RecordType.TOKEN_CHUNK, value);
    }

    @Property(tries = TRIES, seed = SEED)
    void metricsInAvro(@ForAll("metrics") Metric value) {
        assertSame(AVRO, RecordType.METRIC, value);
    }

    @Property(tries = TRIES, seed = SEED)
    void deadLettersInAvro(@ForAll("deadLetters") DeadLetter value) {
        assertSame(AVRO, RecordType.DEAD_LETTER, value);
    }

    @Property(tries = TRIES, seed = SEED)
    void promptsInJson(@ForAll("jsonPrompts") Prompt value) {
        assertSame(JSON, RecordType.PROMPT, value);
    }

    @Property(tries = TRIES, seed = SEED)
    void completionsInJson(@ForAll("jsonCompletions") Completion value) {
        assertSame(JSON, RecordType.COMPLETION, value);
    }

    @Property(tries = TRIES, seed = SEED)
    void chunksInJson(@ForAll("jsonChunks") TokenChunk value) {
        assertSame(JSON, RecordType.TOKEN_CHUNK, value);
    }

    @Property(tries = TRIES, seed = SEED)
    void metricsInJson(@ForAll("jsonMetrics") Metric value) {
        assertSame(JSON, RecordType.METRIC, value);
    }

    static <T extends SpecificRecord> void assertSame(WireFormat wire, RecordType<T> type, T value) {
        RecordEncoder<T> encoder = wire.encoder(type, "t");
        byte[] bytes = encoder.encode(value);
        Decoded<T> back = wire.decoder(type).decode(bytes);
        assertThat(back).isInstanceOf(Decoded.Value.class);
        // Generated classes compare doubles with ==, by which NaN differs from itself; their text and bytes do not.
        T read = ((Decoded.Value<T>) back).value();
        assertThat(read.toString()).isEqualTo(value.toString());
        assertThat(encoder.encode(read)).isEqualTo(bytes);
    }

    @Provide
    Arbitrary<Prompt> prompts() {
        return RecordArbitraries.of(RecordType.PROMPT, false);
    }

    @Provide
    Arbitrary<Completion> completions() {
        return RecordArbitraries.of(RecordType.COMPLETION, false);
    }

    @Provide
    Arbitrary<TokenChunk> chunks() {
        return RecordArbitraries.of(RecordType.TOKEN_CHUNK, false);
    }

    @Provide
    Arbitrary<Metric> metrics() {
        return RecordArbitraries.of(RecordType.METRIC, false);
    }

    @Provide
    Arbitrary<DeadLetter> deadLetters() {
        return RecordArbitraries.of(RecordType.DEAD_LETTER, false);
    }

    @Provide
    Arbitrary<Prompt> jsonPrompts() {
        return RecordArbitraries.forJson(RecordType.PROMPT);
    }

    @Provide
    Arbitrary<Completion> jsonCompletions() {
        // JSON has a floor for log-probabilities, so positive ones stand in for all.
        return RecordArbitraries.forJson(RecordType.COMPLETION).map(c -> {
            if (c.getLogprobs() != null) {
                c.getLogprobs().forEach(p -> {
                    p.setLogprob(Math.abs(p.getLogprob()));
                    p.getTopLogprobs().forEach(t -> t.setLogprob(Math.abs(t.getLogprob())));
                });
            }
            return c;
        });
    }

    @Provide
    Arbitrary<TokenChunk> jsonChunks() {
        return RecordArbitraries.forJson(RecordType.TOKEN_CHUNK);
    }

    @Provide
    Arbitrary<Metric> jsonMetrics() {
        return RecordArbitraries.forJson(RecordType.METRIC);
    }
}
