package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.model.TestModels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command that users try first, as a process of its own in a fresh folder, with the log that users have. */
class DemoProcessITCase {

    @TempDir
    private Path folder = Path.of("");

    @Test
    void theDemoAnswersEveryPromptSumsUpAndEnds() throws Exception {
        Path model = Path.of(System.getProperty("freshet.root"), "models", "freshet-tiny");
        boolean own = Files.isDirectory(model);
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx400m",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "--add-modules=jdk.incubator.vector",
                "--add-opens=java.base/java.util=ALL-UNNAMED",
                "-Dlog4j2.configurationFile=classpath:log4j2.properties",
                "-Djava.io.tmpdir=" + Files.createDirectory(folder.resolve("tmp")),
                "-Dfreshet.home=" + System.getProperty("freshet.root"),
                "-cp",
                System.getProperty("java.class.path"),
                Freshet.class.getName(),
                "demo",
                "--prompts",
                "4",
                "--port",
                "0"));
        if (!own) {
            command.addAll(List.of(
                    "--model",
                    TestModels.write(folder.resolve("m"), TestModels.TINY).toString()));
        }
        Process process = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectOutput(out.toFile())
                .redirectError(err.toFile())
                .start();
        assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("the demo ends").isTrue();
        String said = Files.readString(out, StandardCharsets.UTF_8);
        assertThat(process.exitValue())
                .as(said + Files.readString(err, StandardCharsets.UTF_8))
                .isZero();
        assertThat(said)
                .contains("Summary")
                .contains("dashboard")
                .containsPattern("texts 4 and errors \\d, in \\S+|texts 4 and errors \\d in \\S+")
                .contains("without outcome 0")
                .containsPattern("tokens/s +[1-9]");
        assertNothingOfThePromptsIsLogged(said);
    }

    /** Only the log is left, and it holds no prompt. */
    private void assertNothingOfThePromptsIsLogged(String said) throws Exception {
        List<String> prompts = said.lines()
                .filter(line -> line.contains(" |"))
                .map(line -> line.substring(0, line.indexOf(" |")).strip())
                .filter(line -> line.length() > 8)
                .toList();
        assertThat(prompts).isNotEmpty();
        List<Path> left;
        try (Stream<Path> files = Files.walk(folder.resolve("tmp"))) {
            left = files.filter(Files::isRegularFile)
                    .filter(file -> !file.toString().contains("hsperfdata"))
                    .toList();
        }
        List<Path> logs = left.stream()
                .filter(file -> file.getFileName().toString().endsWith(".log"))
                .toList();
        assertThat(logs).isNotEmpty();
        for (Path log : logs) {
            assertThat(Files.readString(log, StandardCharsets.UTF_8)).doesNotContain(prompts);
        }
    }
}
