package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.util.List;
import org.junit.jupiter.api.Tag;

/** A record on its whole way through the operator: one outcome, whatever it asks for, and a neighbour that knows nothing of it. */
@Tag("fuzz")
final class RequestFuzzTest {

    private static final String EXPECTED = ServingBench.expected("neighbour", 5);

    private final RecordDecoder<Prompt> decoder =
            WireFormat.of("json", WireOptions.defaults()).decoder(RecordType.PROMPT);

    @FuzzTest
    void request(byte[] bytes) {
        if (!(decoder.decode(bytes) instanceof Decoded.Value<Prompt> value)) {
            return;
        }
        String prompt = value.value().getPrompt();
        if (prompt != null && prompt.contains("!")) {
            // The tokenizer of these tests fails on purpose there.
            return;
        }
        ServingBench bench = new ServingBench(2);
        bench.arrive(value.value());
        bench.arrive(ServingBench.prompt("a neighbour", "neighbour", 5));
        bench.drain();
        List<Completion> completions = bench.completions();
        assertThat(completions.size() + bench.letters().size()).isEqualTo(2);
        if (!"a neighbour".equals(value.value().getId())) {
            assertThat(bench.completion("a neighbour").getText()).isEqualTo(EXPECTED);
        }
        for (Completion c : completions) {
            if (c.getError() != null) {
                assertThat(c.getError().getMessage()).matches("(?s)(Cannot|The|Token).+\\.");
                assertThat(c.getError().getCode()).isNotEqualTo("INTERNAL");
            }
        }
    }
}
