package dev.freshet.wire;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenBias;
import dev.freshet.schema.TokenLogprob;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import org.apache.avro.Schema;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.specific.SpecificRecord;

/** Records of any content, made from their schema. */
final class RecordArbitraries {

    private RecordArbitraries() {}

    /** Any record; in text every character but half surrogate pairs, and with finite numbers only on demand. */
    static <T extends SpecificRecord> Arbitrary<T> of(RecordType<T> type, boolean finite) {
        return record(type.schema(), finite).map(type.type()::cast);
    }

    /** Any record that has a JSON form. */
    static <T extends SpecificRecord> Arbitrary<T> forJson(RecordType<T> type) {
        return of(type, true).map(record -> {
            if (record instanceof Prompt p && p.getLogitBias() != null) {
                p.setLogitBias(distinct(p.getLogitBias()));
            } else if (record instanceof Completion c && c.getLogprobs() != null && !c.getChat()) {
                nameAlternativesApart(c.getLogprobs());
            }
            return record;
        });
    }

    private static List<TokenBias> distinct(List<TokenBias> entries) {
        Set<Integer> seen = new HashSet<>();
        return entries.stream().filter(e -> seen.add(e.getTokenId())).toList();
    }

    private static void nameAlternativesApart(List<TokenLogprob> positions) {
        for (TokenLogprob position : positions) {
            for (int i = 0; i < position.getTopLogprobs().size(); i++) {
                position.getTopLogprobs()
                        .get(i)
                        .setToken(i + position.getTopLogprobs().get(i).getToken());
            }
        }
    }

    private static Arbitrary<Object> record(Schema schema, boolean finite) {
        List<Arbitrary<Object>> fields = new ArrayList<>();
        schema.getFields().forEach(f -> fields.add(any(f.schema(), finite)));
        return Combinators.combine(fields).as(values -> {
            IndexedRecord record = (IndexedRecord) RecordClasses.INSTANCE.newRecord(null, schema);
            for (int i = 0; i < values.size(); i++) {
                record.put(i, values.get(i));
            }
            return record;
        });
    }

    private static Arbitrary<Object> any(Schema schema, boolean finite) {
        return switch (schema.getType()) {
            case NULL -> nothing();
            case BOOLEAN -> Arbitraries.of(true, false).asGeneric();
            case INT -> Arbitraries.integers().asGeneric();
            case LONG -> Arbitraries.longs().asGeneric();
            case DOUBLE -> doubles(finite).asGeneric();
            case STRING -> text().asGeneric();
            case BYTES ->
                Arbitraries.bytes()
                        .array(byte[].class)
                        .ofMaxSize(20)
                        .map(ByteBuffer::wrap)
                        .asGeneric();
            case RECORD -> record(schema, finite);
            case ARRAY ->
                any(schema.getElementType(), finite).list().ofMaxSize(4).asGeneric();
            case MAP -> map(any(schema.getValueType(), finite)).asGeneric();
            case UNION ->
                Arbitraries.oneOf(schema.getTypes().stream()
                        .map(branch -> any(branch, finite))
                        .toList());
            default -> throw new IllegalArgumentException(schema.toString());
        };
    }

    @SuppressWarnings("NullAway") // jqwik's values may be null; its signatures do not say so.
    private static Arbitrary<Object> nothing() {
        return Arbitraries.just(null);
    }

    private static Arbitrary<Map<String, Object>> map(Arbitrary<Object> values) {
        return Arbitraries.maps(text(), values).ofMaxSize(3).map(LinkedHashMap::new);
    }

    private static Arbitrary<String> text() {
        return Arbitraries.oneOf(
                        Arbitraries.strings().all().ofMaxLength(12),
                        Arbitraries.of(
                                "", "\u0000", "\uD83D\uDE00", "\uFEFF", "\uFFFD", "\u2028", "\"\\", "<|endoftext|>"))
                .map(Utf8Text::repaired);
    }

    private static Arbitrary<Double> doubles(boolean finite) {
        Arbitrary<Double> numbers = Arbitraries.oneOf(
                Arbitraries.doubles(), Arbitraries.of(0.0, -0.0, 1e-320, Double.MIN_VALUE, Double.MAX_VALUE, 0.1));
        return finite
                ? numbers
                : Arbitraries.oneOf(
                        numbers, Arbitraries.of(Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY));
    }
}
