package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Kills the process of a batch without warning, as a power cut or an impatient administrator would. */
class BatchKillITCase {

    private static final int LINES = 900;

    @TempDir
    private Path folder = Path.of("");

    private Process start(Path model, Path input, String output) throws IOException {
        List<String> command = List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "--add-modules=jdk.incubator.vector",
                "--add-opens=java.base/java.util=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.freshet.cli.Freshet",
                "batch",
                "--model",
                model.toString(),
                "--threads",
                "1",
                "--slots",
                "4",
                "--input",
                input.toString(),
                "--output",
                folder.resolve(output).toString());
        File log = folder.resolve(output + ".log").toFile();
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log))
                .start();
    }

    private static long lines(Path file) throws IOException {
        if (!Files.exists(file)) {
            return 0;
        }
        long lines = 0;
        for (byte b : Files.readAllBytes(file)) {
            lines += b == '\n' ? 1 : 0;
        }
        return lines;
    }

    /** Waits until a process has answered so many lines, then kills it. */
    private static void killAfter(Process process, Path results, int answers) throws Exception {
        try {
            while (lines(results) < answers) {
                assertThat(process.waitFor(2, TimeUnit.MILLISECONDS))
                        .as("the process ended before it could be killed")
                        .isFalse();
            }
        } finally {
            process.destroyForcibly().waitFor();
        }
    }

    @Test
    @Timeout(240)
    void aBatchKilledTwiceHasTheLinesOfAnUndisturbedOne() throws Exception {
        Path model = BatchFiles.model(folder);
        List<String> requests = new ArrayList<>();
        for (int i = 0; i < LINES; i++) {
            requests.add(
                    i % 20 == 9 ? "broken " + i : BatchFiles.line("id-" + i, "words and numbers " + i, 20 + i % 9));
        }
        Path input = BatchFiles.write(folder.resolve("requests.jsonl"), requests);
        Path results = folder.resolve("killed").resolve(BatchOutput.RESULTS);
        killAfter(start(model, input, "killed"), results, LINES / 6);
        long first = lines(results);
        killAfter(start(model, input, "killed"), results, LINES / 2);
        assertThat(lines(results)).isBetween(first, LINES - 1L);
        Process last = start(model, input, "killed");
        assertThat(last.waitFor()).isZero();
        Process undisturbed = start(model, input, "undisturbed");
        assertThat(undisturbed.waitFor()).isZero();
        assertThat(BatchFiles.timeless(folder.resolve("killed")))
                .hasSize(LINES)
                .isEqualTo(BatchFiles.timeless(folder.resolve("undisturbed")));
        assertThat(Files.readString(folder.resolve("killed.log"))).contains("are answered already");
    }
}
