package dev.freshet.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.freshet.kernel.Kernels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/**
 * The emulator behind the real JCuda: loads it as libcuda.so.1 before the binding looks for one. With -Dfreshet.driver=device the same
 * tests run on the machine's own device.
 */
public final class FakeDriver {

    private FakeDriver() {}

    /** Starts the backend on the emulator; skips the test where g++ was missing. */
    public static Kernels open() {
        return open(new CudaOptions(60_000, true), FaultHandler.HALT);
    }

    static CudaKernels open(CudaOptions options, FaultHandler faults) {
        load();
        return new CudaKernels(
                CudaDriver.probe(), Objects.requireNonNull(KernelImages.find(), "no images"), options, faults);
    }

    /** Loads the library. */
    public static void load() {
        String driver = System.getProperty("freshet.driver", "none");
        if (driver.equals("device")) {
            return;
        }
        Path library = Path.of(driver);
        assumeTrue(Files.exists(library), "g++ was not found when the emulator was to be built");
        System.load(library.toAbsolutePath().toString());
    }
}
