package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.job.Verification;
import dev.freshet.job.Verification.Finding;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class VerifyTopicsCommandTest {

    private static final Finding NONE = new Finding(0, List.of());
    private static final Verification GOOD =
            new Verification(6, 3, 1, 1, 1, 2, 0, 0, NONE, NONE, NONE, NONE, List.of());
    private static final Verification BAD = new Verification(
            6, 2, 1, 1, 0, 2, 0, 0, new Finding(2, List.of("prompts-0-7")), NONE, NONE, NONE, List.of("A note."));

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    private final Terminal terminal = new Terminal(out, out, false, false);

    private String written() {
        return bytes.toString(StandardCharsets.UTF_8);
    }

    @Test
    void saysThatTheLawHolds() throws Exception {
        assertThat(new VerifyTopicsCommand(terminal).report(GOOD, false)).isZero();
        assertThat(written()).contains("The law holds").containsPattern("inputs +6");
    }

    @Test
    void namesWhatIsMissing() throws Exception {
        assertThat(new VerifyTopicsCommand(terminal).report(BAD, false)).isEqualTo(1);
        assertThat(written()).contains("prompts-0-7", "and 1 more", "A note.", "The law is broken");
    }

    @Test
    void writesOneJsonObject() throws Exception {
        assertThat(new VerifyTopicsCommand(terminal).report(BAD, true)).isEqualTo(1);
        JsonNode node = new ObjectMapper().readTree(written());
        assertThat(node.get("holds").asBoolean()).isFalse();
        assertThat(node.get("missing").get("count").asLong()).isEqualTo(2);
        assertThat(node.get("missing").get("first").get(0).asText()).isEqualTo("prompts-0-7");
    }

    @Test
    void refusesWrongUse() {
        assertThat(Freshet.run(terminal, "verify-topics")).isEqualTo(Freshet.WRONG_USE);
        assertThat(written()).contains("kafka.bootstrap.servers");
        assertThat(Freshet.run(
                        terminal, "verify-topics", "--bootstrap-servers", "localhost:1", "--prompts-format", "xml"))
                .isEqualTo(Freshet.WRONG_USE);
    }
}
