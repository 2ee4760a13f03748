package dev.freshet.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What users are told, and how the process ends when the device fails. Each case is a process of its own. */
final class CudaProviderTest {

    @BeforeEach
    void needsTheEmulator() {
        FakeDriver.load();
    }

    @Test
    void runsWhereADriverIs() {
        ChildProcess.Result result = ChildProcess.run(Map.of());
        assertThat(result.status()).isZero();
        assertThat(result.output())
                .contains("obstacle: \n")
                .contains("CPU emulator, compute capability 9.0, driver of CUDA 13.0")
                .contains("done");
    }

    @Test
    void saysThatThereIsNoDriver() {
        assumeFalse(Files.exists(Path.of("/dev/nvidiactl")), "this machine has a driver");
        ChildProcess.Result result = ChildProcess.run(Map.of(), "-Dno.driver=true");
        assertThat(result.output())
                .contains("obstacle: no NVIDIA driver is loaded (/dev/nvidiactl and /dev/dxg are missing)");
    }

    @Test
    void saysThatThereIsNoDevice() {
        ChildProcess.Result result = ChildProcess.run(Map.of("EMULATOR_NO_DEVICE", "1"));
        assertThat(result.output()).contains("obstacle: the driver offers no device (CUDA_ERROR_NO_DEVICE)");
    }

    @Test
    void saysThatTheDriverIsTooOld() {
        ChildProcess.Result result = ChildProcess.run(Map.of("EMULATOR_DRIVER", "11080"));
        assertThat(result.output()).contains("obstacle: the driver is of CUDA 11.8, expected 12.0 or newer");
    }

    @Test
    void saysThatTheDeviceIsTooOld() {
        ChildProcess.Result result = ChildProcess.run(Map.of("EMULATOR_CAPABILITY", "75"));
        assertThat(result.output()).contains("obstacle: the device has compute capability 7.5, expected 8.0 or newer");
    }

    @Test
    void fatalErrorOfTheDeviceEndsTheProcess() {
        ChildProcess.Result result = ChildProcess.run(Map.of("EMULATOR_FAULT_AFTER", "20"));
        assertThat(result.status()).as(result.output()).isEqualTo(FaultHandler.BROKEN);
        assertThat(result.output()).doesNotContain("done");
    }

    @Test
    void hungKernelEndsTheProcess() {
        ChildProcess.Result result =
                ChildProcess.run(Map.of("EMULATOR_HANG_AFTER", "20"), "-Dfreshet.cuda.timeout.ms=500");
        assertThat(result.status()).as(result.output()).isEqualTo(FaultHandler.HUNG);
        assertThat(result.output()).doesNotContain("done");
    }

    @Test
    void leavesNothingInTheTemporaryFolder() throws Exception {
        Path folder = Files.createTempDirectory("freshet-test");
        ChildProcess.run(Map.of(), "-Djava.io.tmpdir=" + folder);
        try (var files = Files.list(folder)) {
            assertThat(files.filter(f -> !f.getFileName().toString().startsWith("hsperf")))
                    .isEmpty();
        }
        Files.delete(folder);
    }
}
