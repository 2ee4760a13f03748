package dev.freshet.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.freshet.kernel.Kernels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;

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

    /** How often device memory was claimed in this process; the emulator counts. */
    public static int allocations() {
        return ask(10_000);
    }

    /** Holds copies that run beside the kernels where they are, or lets them go on. */
    public static void holdCopies(boolean hold) {
        ask(hold ? 10_001 : 10_002);
    }

    private static int ask(int attribute) {
        int[] value = new int[1];
        JCudaDriver.cuDeviceGetAttribute(value, attribute, new CUdevice());
        return value[0];
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
