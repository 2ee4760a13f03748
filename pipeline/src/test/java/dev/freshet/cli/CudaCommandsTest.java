package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.freshet.model.TestModels;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands with {@code --kernels cuda} on the emulated driver, each in a process of its own that finds it as users' do. */
class CudaCommandsTest {

    private static final Path EMULATOR =
            Path.of(System.getProperty("freshet.root", "..")).resolve("gpu-native/target/kernels");

    @TempDir
    private Path folder = Path.of("");

    private record Result(int status, String out, String err) {}

    private Result run(boolean emulated, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "--add-modules=jdk.incubator.vector",
                // The log as users have it; that of the tests goes to standard output.
                "-Dlog4j2.configurationFile=classpath:log4j2.properties",
                "-cp",
                // Where nvcc was missing, the images that the emulated driver takes.
                System.getProperty("java.class.path") + ":" + EMULATOR.resolve("stand-ins"),
                Freshet.class.getName()));
        command.addAll(List.of(arguments));
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
        builder.environment().remove("LD_LIBRARY_PATH");
        if (emulated) {
            assumeTrue(Files.exists(EMULATOR.resolve("libcuda.so.1")), "g++ was missing when gpu-native was built");
            builder.environment().put("LD_LIBRARY_PATH", EMULATOR.toString());
        }
        Process process = builder.start();
        assertThat(process.waitFor(120, TimeUnit.SECONDS))
                .as("the command ends")
                .isTrue();
        return new Result(process.exitValue(), read(out), read(err));
    }

    private static String read(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.UTF_8);
    }

    private static boolean deviceThere() {
        return Files.exists(Path.of("/dev/nvidiactl")) || Files.exists(Path.of("/dev/dxg"));
    }

    @Test
    void generatesTheTokensOfTheOtherBackends() throws IOException, InterruptedException {
        Path model = TestModels.write(folder.resolve("m"), TestModels.TINY.withKind("relu+"));
        List<String> texts = new ArrayList<>();
        for (String kernels : List.of("vector", "cuda")) {
            Result result = run(
                    true,
                    "generate",
                    "--model",
                    model.toString(),
                    "--kernels",
                    kernels,
                    "--prompt-ids",
                    "5,7,11,5,7",
                    "--print-ids",
                    "--quiet",
                    "--max-tokens",
                    "24",
                    "--temperature",
                    "0");
            assertThat(result.status()).as(result.err()).isZero();
            texts.add(result.out().trim());
        }
        assertThat(texts.get(0).split(",")).hasSizeGreaterThan(10);
        assertThat(texts.get(1)).isEqualTo(texts.get(0));
    }

    @Test
    void doctorSaysThatItWouldRun() throws IOException, InterruptedException {
        Result result = run(true, "doctor");
        assertThat(result.status()).as(result.err()).isZero();
        assertThat(result.out()).contains("yes: cuda kernels: CPU emulator").contains("takes cuda");
    }

    @Test
    void doctorSaysWhyItWouldNot() throws IOException, InterruptedException {
        assumeFalse(deviceThere(), "this machine has a device");
        Result result = run(false, "doctor");
        assertThat(result.status()).as(result.err()).isZero();
        assertThat(result.out())
                .containsPattern("kernels cuda +no: Cannot use kernels cuda: no NVIDIA driver is loaded")
                .contains("takes vector");
    }

    @Test
    void askedForByNameItNeverFallsBack() throws IOException, InterruptedException {
        assumeFalse(deviceThere(), "this machine has a device");
        Path model = TestModels.write(folder.resolve("m"), TestModels.TINY.withKind("relu+"));
        Result result = run(
                false,
                "generate",
                "--model",
                model.toString(),
                "--kernels",
                "cuda",
                "--prompt-ids",
                "5",
                "--print-ids");
        assertThat(result.status()).isEqualTo(2);
        assertThat(result.out()).isEmpty();
        assertThat(result.err()).contains("Cannot use kernels cuda: no NVIDIA driver is loaded");
    }
}
