package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.engine.StepObserver.Running;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Prompts that kill the process, in processes that die. */
class BlackBoxTest {

    @TempDir
    Path folder;

    private Process start(String poison, int stepMillis) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx64m",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "-Dorg.apache.avro.SERIALIZABLE_PACKAGES=dev.freshet",
                        PoisonProcess.class.getName(),
                        folder.resolve("box").toString(),
                        folder.resolve("outcomes").toString(),
                        poison,
                        Integer.toString(stepMillis))
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("log").toFile())
                .start();
    }

    private Map<String, String> outcomes() throws IOException {
        Map<String, String> out = new HashMap<>();
        for (String line : Files.readAllLines(folder.resolve("outcomes"))) {
            String[] parts = line.split(" ");
            assertThat(out.put(parts[0], parts[1])).isNull();
        }
        return out;
    }

    @Test
    void aPoisonEndsThreeProcessesAndNoMore() throws Exception {
        int deaths = 0;
        int exit = start("r5", 0).waitFor();
        while (exit == PoisonProcess.DIED && deaths < 6) {
            deaths++;
            exit = start("r5", 0).waitFor();
        }
        assertThat(exit).as(Files.readString(folder.resolve("log"))).isZero();
        assertThat(deaths).isEqualTo(3);
        Map<String, String> outcomes = outcomes();
        assertThat(outcomes).hasSize(PoisonProcess.REQUESTS).containsEntry("r5", "POISON_CRASH");
        outcomes.remove("r5");
        assertTexts(outcomes, "r5");
        // No box of the dead, no suspicion against those that only stood beside.
        try (var files = Files.list(folder.resolve("box"))) {
            assertThat(files.map(f -> f.getFileName().toString()).filter(f -> !f.endsWith(".suspect")))
                    .isEmpty();
        }
    }

    private static void assertTexts(Map<String, String> outcomes, String poison) {
        outcomes.forEach((id, text) -> assertThat(text)
                .isEqualTo(ServingBench.expected(
                        PoisonProcess.text(Integer.parseInt(id.substring(1)), poison), PoisonProcess.TOKENS)));
    }

    @Test
    void killsFromOutsideAccuseNobody() throws Exception {
        for (int wait : new int[] {100, 330, 150, 420, 270}) {
            Process process = start("none", 10);
            // Somewhere in the middle of about a second of steps, once the process has begun them.
            while (!Files.exists(folder.resolve("outcomes"))) {
                process.waitFor(5, TimeUnit.MILLISECONDS);
            }
            process.waitFor(wait, TimeUnit.MILLISECONDS);
            process.destroyForcibly().waitFor();
            Files.deleteIfExists(folder.resolve("outcomes"));
        }
        assertThat(start("none", 0).waitFor())
                .as(Files.readString(folder.resolve("log")))
                .isZero();
        assertThat(outcomes()).hasSize(PoisonProcess.REQUESTS);
        assertTexts(outcomes(), "none");
    }

    @Test
    void onlyDeathsOfTheSameTokensAddUp() throws IOException {
        Suspects suspects = new Suspects(folder, "job.");
        suspects.accuse(Suspects.hash("a"), 100, 116);
        suspects.accuse(Suspects.hash("a"), 110, 120);
        suspects.accuse(Suspects.hash("b"), 5, 6);
        suspects.accuse(Suspects.hash("b"), 6, 7);
        Suspects read = new Suspects(folder, "job.");
        read.load();
        assertThat(read.get("a")).isEqualTo(new Suspects.Suspect(2, 110, 116));
        assertThat(read.get("b")).isEqualTo(new Suspects.Suspect(1, 6, 7));
        assertThat(read.get("c")).isNull();
        read.acquit("a");
        assertThat(read.get("a")).isNull();
        Suspects again = new Suspects(folder, "job.");
        again.load();
        assertThat(again.get("a")).isNull();
    }

    @Test
    void aStepThatThrowsIsEvidenceAndAnEndedOneIsNot() throws IOException {
        for (int i = 0; i < 2; i++) {
            BlackBox box = BlackBox.open(folder, "job", 0, 2);
            box.begin(List.of(new Running("innocent", 4, 1)));
            box.end();
            box.begin(List.of(new Running("guilty", 7, 2), new Running("beside", 30 + i, 1)));
            box.close();
        }
        try (BlackBox box = BlackBox.open(folder, "job", 0, 2)) {
            assertThat(box.suspect("innocent")).isNull();
            assertThat(Objects.requireNonNull(box.suspect("guilty")).deaths()).isEqualTo(2);
            assertThat(Objects.requireNonNull(box.suspect("beside")).deaths()).isEqualTo(1);
        }
    }

    @Test
    void aSuspectRunsAloneUntilItHasPassed() throws IOException {
        try (BlackBox first = BlackBox.open(folder, "test", 0, 4)) {
            assertThat(first.suspect("x")).isNull();
        }
        Suspects suspects = new Suspects(folder, "test.");
        suspects.accuse(Suspects.hash("prompts-0-1"), 8, 9);
        suspects.accuse(Suspects.hash("prompts-0-1"), 8, 9);
        try (BlackBox box = BlackBox.open(folder, "test", 0, 4)) {
            ServingBench bench = new ServingBench(ServingBench.options(4), "fingerprint", box);
            int[] rows = new int[1];
            bench.chain.onToken(token -> rows[0]++);
            for (int i = 0; i < 3; i++) {
                bench.arrive(ServingBench.prompt("r" + i, "four", 20));
            }
            bench.step();
            assertThat(rows[0]).as("the prompt of the suspect").isEqualTo(4);
            for (int i = 0; i < 5; i++) {
                rows[0] = 0;
                bench.step();
                assertThat(rows[0]).isEqualTo(1);
            }
            rows[0] = 0;
            bench.step();
            assertThat(rows[0]).as("the others join").isGreaterThan(4);
            bench.drain();
            for (int i = 0; i < 3; i++) {
                assertThat(bench.completion("r" + i).getText()).isEqualTo(ServingBench.expected("four", 20));
            }
        }
    }

    @Test
    void aDirectoryThatIsNoneIsRefused() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        assertThatThrownBy(() -> BlackBox.open(file, "job", 0, 1))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("engine.black-box");
    }
}
