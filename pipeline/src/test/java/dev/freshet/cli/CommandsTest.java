package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.freshet.job.ConfigFile;
import dev.freshet.job.JobOptions;
import dev.freshet.model.TestModels;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a person meets on the command line: answers on one stream, refusals in one sentence on the other. */
class CommandsTest {

    @TempDir
    private Path directory;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private final Terminal terminal = new Terminal(stream(out), stream(err), false, false);

    private static PrintStream stream(ByteArrayOutputStream bytes) {
        return new PrintStream(bytes, true, StandardCharsets.UTF_8);
    }

    private void assertRefused(String part, String... arguments) {
        assertThat(Freshet.run(terminal, arguments)).isEqualTo(Freshet.WRONG_USE);
        assertThat(out.toString(StandardCharsets.UTF_8)).isEmpty();
        assertThat(err.toString(StandardCharsets.UTF_8)).startsWith("freshet: ").contains(part);
        assertThat(err.toString(StandardCharsets.UTF_8).strip().lines()).hasSizeLessThanOrEqualTo(2);
    }

    private Path model() {
        return TestModels.write(directory.resolve("model"), TestModels.TINY);
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "vector"})
    void generateTellsThePublishedStory(String kernels) throws IOException {
        Path stories = Path.of(System.getProperty("freshet.shared", "../shared"), "data/models/stories260k");
        assumeTrue(Files.isDirectory(stories), "stories260k is not here: " + stories);
        int status = Freshet.run(
                terminal,
                "generate",
                "--quiet",
                "--model",
                stories.toString(),
                "--kernels",
                kernels,
                "--temperature",
                "0",
                "--max-tokens",
                "200",
                "");
        assertThat(status).isZero();
        assertThat(out.toByteArray()).isEqualTo(Files.readAllBytes(stories.resolve("expected_greedy_200.txt")));
        assertThat(err.toString(StandardCharsets.UTF_8)).isEmpty();
    }

    @Test
    void demoRefusesADirectoryThatIsNoModel() {
        assertRefused("config.json", "demo", "--model", directory.toString());
    }

    @Test
    void demoRefusesWhatIsOutOfRange() {
        assertRefused("--slots", "demo", "--model", model().toString(), "--slots", "0");
    }

    @Test
    void demoRefusesAnUnknownOption() {
        assertRefused("--no-such-option", "demo", "--no-such-option");
    }

    @Test
    void demoRefusesAPortThatIsTaken() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            assertRefused(
                    "in use", "demo", "--model", model().toString(), "--port", String.valueOf(taken.getLocalPort()));
        }
    }

    @Test
    void runRefusesToStartWithoutAConfiguration() {
        assertRefused("--config", "run");
    }

    @Test
    void runRefusesAFileThatIsNotThere() {
        assertRefused(
                "nowhere.yaml",
                "run",
                "--config",
                directory.resolve("nowhere.yaml").toString());
    }

    @Test
    void runNamesTheKeyThatWasMeant() throws IOException {
        Path config = Files.writeString(
                directory.resolve("job.yaml"),
                "kafka: {bootstrap.servers: 'localhost:1'}\nengine: {slot: 3}\nmodel: {directory: " + model() + "}\n");
        assertRefused("engine.slots", "run", "--config", config.toString());
    }

    @Test
    void theShellLearnsEveryCommandAndOption() {
        assertThat(Freshet.run(terminal, "generate-completion")).isZero();
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("complete -F", "verify-topics", "--max-tokens", "--config");
    }

    @Test
    void everyCommandExplainsItselfWithoutItsRequiredOptions() {
        assertThat(Freshet.run(terminal, "--help")).isZero();
        assertThat(Freshet.run(terminal, "batch", "--help")).isZero();
        assertThat(Freshet.run(terminal, "bench", "speculative", "-h")).isZero();
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("Usage: freshet [-h] COMMAND", "Usage: freshet batch", "Usage: freshet bench speculative");
        assertThat(Freshet.run(terminal, "batch", "--nope")).isEqualTo(Freshet.WRONG_USE);
    }

    @Test
    void askRefusesToGuessABroker() {
        assertRefused("kafka.bootstrap.servers", "ask", "hello");
    }

    @Test
    void theExampleStatesTheDefaults() {
        Path example = Path.of(System.getProperty("freshet.root", ".."), "conf/freshet.yaml");
        Map<String, String> stated = new HashMap<>(ConfigFile.read(example, Map.of()));
        stated.put("model.directory", "m");
        Map<String, String> defaults = new HashMap<>();
        defaults.put("model.directory", "m");
        defaults.put("kafka.bootstrap.servers", "localhost:9092");
        defaults.put("checkpoint.directory", "checkpoints");
        // Wire formats have no equality of their own, so that the records are compared by what they say.
        assertThat(withoutIdentities(JobOptions.of(stated))).isEqualTo(withoutIdentities(JobOptions.of(defaults)));
    }

    private static String withoutIdentities(JobOptions options) {
        return options.toString().replaceAll("WireFormat@[0-9a-f]+", "format");
    }
}
