package dev.freshet.cuda;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * The driver of this machine, asked once.
 *
 * @param obstacle why it cannot be used, with the cure, or empty
 * @param version driver interface, 12060 for 12.6; 0 with an obstacle
 * @param capability compute capability of device 0, 90 for 9.0; 0 with an obstacle
 */
record CudaDriver(String obstacle, int version, int capability) {

    private static final int OLDEST_DRIVER = 12000;
    private static final int OLDEST_DEVICE = 80;

    /** Loads the binding and asks; never throws for a machine without a GPU. */
    static CudaDriver probe() {
        String os = System.getProperty("os.name");
        String arch = System.getProperty("os.arch");
        if (!os.equals("Linux") || !arch.equals("amd64")) {
            return unusable("it needs Linux on x86-64, this is " + os + " on " + arch + ". Use --kernels vector here.");
        }
        if (!driverPresent()) {
            return unusable(
                    "no NVIDIA driver is loaded (/dev/nvidiactl and /dev/dxg are missing). Install a driver of CUDA 12.0 or"
                            + " newer, or give the container its GPU (--gpus all).");
        }
        try {
            loadBinding();
            return ask();
        } catch (UnsatisfiedLinkError | NoClassDefFoundError | ExceptionInInitializerError e) {
            String text = String.valueOf(e.getMessage());
            if (e instanceof NoClassDefFoundError && text.startsWith("jcuda/")) {
                return unusable(
                        "JCuda is not on the class path. On a Flink cluster put its jars into Flink's lib folder"
                                + " (docs/operations.md).");
            }
            return unusable(
                    text.contains("libcuda.so.1")
                            ? "libcuda.so.1 cannot be loaded. Install the NVIDIA driver, or name its folder in LD_LIBRARY_PATH."
                            : "the JCuda library cannot be loaded (" + firstLine(text)
                                    + "). Check that the temporary folder is writable"
                                    + " and may hold programs (java.io.tmpdir).");
        }
    }

    private static CudaDriver unusable(String obstacle) {
        return new CudaDriver(obstacle, 0, 0);
    }

    private static String firstLine(String text) {
        return text.lines().findFirst().orElse("");
    }

    /**
     * Without a driver, loading JCuda takes 140 ms to fail; these files tell at once. A driver may also lie elsewhere or be loaded
     * already.
     */
    private static boolean driverPresent() {
        if (Files.exists(Path.of("/dev/nvidiactl")) || Files.exists(Path.of("/dev/dxg"))) {
            return true;
        }
        for (String folder : System.getenv().getOrDefault("LD_LIBRARY_PATH", "").split(":", -1)) {
            if (!folder.isEmpty() && Files.exists(Path.of(folder, "libcuda.so.1"))) {
                return true;
            }
        }
        try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
            return maps.anyMatch(line -> line.contains("libcuda.so.1"));
        } catch (IOException | UncheckedIOException e) {
            return false;
        }
    }

    /**
     * Makes JCuda extract its library into a folder of our own. It would take a fixed name in the shared temporary folder, and use
     * whatever file lies there already.
     */
    private static synchronized void loadBinding() {
        String shared = System.getProperty("java.io.tmpdir");
        Path own;
        try {
            own = Files.createTempDirectory("freshet-jcuda");
        } catch (IOException e) {
            throw new UncheckedIOException(
                    "Cannot extract the JCuda library: expected a writable temporary folder, got " + shared
                            + ". Set java.io.tmpdir.",
                    e);
        }
        System.setProperty("java.io.tmpdir", own.toString());
        try {
            JCudaDriver.setExceptionsEnabled(false);
        } finally {
            System.setProperty("java.io.tmpdir", shared);
            delete(own);
        }
    }

    /** A loaded library stays mapped, so its file may go. */
    private static void delete(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
            Files.delete(folder);
        } catch (IOException e) {
            folder.toFile().deleteOnExit();
        }
    }

    private static CudaDriver ask() {
        int status = JCudaDriver.cuInit(0);
        int[] number = new int[1];
        if (status == CUresult.CUDA_SUCCESS) {
            status = JCudaDriver.cuDeviceGetCount(number);
        }
        if (status != CUresult.CUDA_SUCCESS || number[0] == 0) {
            return unusable("the driver offers no device (" + CudaStatus.name(status)
                    + "). Check nvidia-smi and CUDA_VISIBLE_DEVICES.");
        }
        JCudaDriver.cuDriverGetVersion(number);
        int version = number[0];
        if (version < OLDEST_DRIVER) {
            return unusable("the driver is of CUDA " + version / 1000 + "." + version % 1000 / 10
                    + ", expected 12.0 or newer. Update the NVIDIA driver to 525 or newer.");
        }
        CUdevice device = new CUdevice();
        JCudaDriver.cuDeviceGet(device, 0);
        int capability = 10 * attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
                + attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        if (capability < OLDEST_DEVICE) {
            return unusable("the device has compute capability " + capability / 10 + "." + capability % 10
                    + ", expected 8.0 or newer (Ampere and later). Use another device through CUDA_VISIBLE_DEVICES.");
        }
        return new CudaDriver("", version, capability);
    }

    static int attribute(CUdevice device, int attribute) {
        int[] value = new int[1];
        JCudaDriver.cuDeviceGetAttribute(value, attribute, device);
        return value[0];
    }
}
