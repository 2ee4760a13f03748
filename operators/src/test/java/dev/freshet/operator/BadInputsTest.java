package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Records as bytes, through decoder, validation and operator: each of the table's gets its code and field, in one sentence with a cure
 * that does not repeat the prompt, and a neighbour that decodes beside all of them gets its text.
 */
class BadInputsTest {

    private static final String CANARY = "canary-7f3a";
    private static final Pattern SPECIAL = Pattern.compile("\\{\\{(.+?)\\*(\\d+)}}|\\[\\[([0-9A-F ]+)]]");

    private record Case(String kind, String code, @Nullable String field, byte[] bytes, boolean avro) {}

    private record Outcome(String code, @Nullable String field, String message) {}

    private static List<Case> table() throws IOException {
        List<Case> all = new ArrayList<>();
        try (InputStream in = BadInputsTest.class.getResourceAsStream("/bad-inputs.tsv")) {
            String text = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
            for (String line : text.split("\n", -1)) {
                if (!line.isEmpty() && !line.startsWith("#")) {
                    String[] cells = line.split("\t", -1);
                    String field = cells[2].equals("-") ? null : cells[2];
                    all.add(new Case(cells[0], cells[1], field, bytes(cells[3]), false));
                }
            }
        }
        avro(all);
        return all;
    }

    private static byte[] bytes(String cell) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Matcher matcher = SPECIAL.matcher(cell);
        int at = 0;
        while (matcher.find()) {
            out.writeBytes(cell.substring(at, matcher.start()).getBytes(StandardCharsets.UTF_8));
            at = matcher.end();
            if (matcher.group(3) == null) {
                String many = matcher.group(1).repeat(Integer.parseInt(matcher.group(2)));
                out.writeBytes(many.getBytes(StandardCharsets.UTF_8));
            } else {
                out.writeBytes(HexFormat.ofDelimiter(" ").parseHex(matcher.group(3)));
            }
        }
        out.writeBytes(cell.substring(at).getBytes(StandardCharsets.UTF_8));
        return out.toByteArray();
    }

    /** What JSON cannot say: numbers that are none, and bytes that are no record. */
    private static void avro(List<Case> all) {
        for (double never : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
            all.add(value("avro: temperature that is no number", "temperature", p -> p.setTemperature(never)));
            all.add(value("avro: top_p that is no number", "top_p", p -> p.setTopP(never)));
            all.add(value("avro: min_p that is no number", "min_p", p -> p.setMinP(never)));
            all.add(value("avro: penalty that is no number", "presence_penalty", p -> p.setPresencePenalty(never)));
        }
        byte[] sound = encoded(prompt());
        for (int length : new int[] {1, 2, 9, 10, 11, sound.length / 2, sound.length - 1}) {
            all.add(broken("avro: cut", java.util.Arrays.copyOf(sound, length)));
        }
        for (int i = 0; i < 2; i++) {
            byte[] magic = sound.clone();
            magic[i] ^= 1;
            all.add(broken("avro: another magic", magic));
        }
        byte[] foreign = sound.clone();
        foreign[5] ^= 1;
        all.add(new Case("avro: schema that nobody released", "UNKNOWN_SCHEMA_ID", null, foreign, true));
        all.add(broken("avro: bytes behind the record", java.util.Arrays.copyOf(sound, sound.length + 1)));
        // The branch of the first union, then the length of its text: far beyond the record, and below zero.
        for (byte[] length : List.of(new byte[] {2, -2, -1, -1, -1, 15}, new byte[] {2, 1}, new byte[] {4}, new byte[] {
            -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1
        })) {
            byte[] bomb = java.util.Arrays.copyOf(sound, 10 + length.length);
            System.arraycopy(length, 0, bomb, 10, length.length);
            all.add(broken("avro: impossible length", bomb));
        }
    }

    private static Case value(String kind, String field, java.util.function.Consumer<Prompt> change) {
        Prompt prompt = prompt();
        change.accept(prompt);
        return new Case(kind, "INVALID_PARAM", field, encoded(prompt), true);
    }

    private static Case broken(String kind, byte[] bytes) {
        return new Case(kind, "BAD_AVRO", null, bytes, true);
    }

    private static Prompt prompt() {
        return Prompt.newBuilder().setId("r").setPrompt(CANARY).build();
    }

    private static byte[] encoded(Prompt prompt) {
        return WireFormat.of("avro", WireOptions.defaults())
                .encoder(RecordType.PROMPT, "t")
                .encode(prompt);
    }

    private static Outcome outcome(Case one, ServingBench bench) {
        WireOptions options = WireOptions.defaults().withStrict(one.kind().startsWith("strict"));
        Decoded<Prompt> decoded = WireFormat.of(one.avro() ? "avro" : "json", options)
                .decoder(RecordType.PROMPT)
                .decode(one.bytes());
        if (decoded instanceof Decoded.Refused<Prompt> refused) {
            return new Outcome(refused.code(), refused.field(), refused.message());
        }
        int before = bench.outcomes.size();
        Prompt prompt = ((Decoded.Value<Prompt>) decoded).value();
        Admission.Admitted admitted = bench.serving.arrive(new Inbound.Prompt(prompt, one.bytes(), bench.origin()));
        if (admitted != null) {
            bench.serving.submit(admitted);
        }
        if (bench.outcomes.size() == before) {
            return new Outcome("none", null, "");
        }
        Completion c = bench.completions().get(bench.completions().size() - 1);
        return new Outcome(
                c.getError().getCode(), c.getError().getField(), c.getError().getMessage());
    }

    @TestFactory
    Stream<DynamicTest> eachGetsItsCodeInOneSentence() throws IOException {
        List<DynamicTest> tests = new ArrayList<>();
        int number = 0;
        for (Case one : table()) {
            tests.add(DynamicTest.dynamicTest(++number + " " + one.kind(), () -> {
                Outcome outcome = outcome(one, new ServingBench(1));
                assertThat(outcome.code()).as(outcome.message()).isEqualTo(one.code());
                if (!"?".equals(one.field())) {
                    assertThat(outcome.field()).isEqualTo(one.field());
                }
                assertThat(outcome.message())
                        .matches("Cannot [a-z]+ [^:]+: expected .+, got .+\\. [A-Z].+\\.")
                        .doesNotContain(CANARY, "canary")
                        .hasSizeLessThanOrEqualTo(300);
            }));
        }
        return tests.stream();
    }

    @Test
    void thereAreEnoughOfThemAndTheirNeighbourKnowsNothing() throws IOException {
        List<Case> table = table();
        Set<String> kinds = new TreeSet<>();
        ServingBench bench = new ServingBench(1);
        bench.arrive(ServingBench.prompt("neighbour", "neighbour", 150));
        for (Case one : table) {
            kinds.add(one.kind());
            outcome(one, bench);
            if (!bench.serving.isIdle()) {
                bench.step();
            }
        }
        bench.drain();
        assertThat(bench.completion("neighbour").getText()).isEqualTo(ServingBench.expected("neighbour", 150));
        assertThat(table).hasSizeGreaterThanOrEqualTo(200);
        assertThat(kinds).hasSizeGreaterThanOrEqualTo(60);
    }
}
