package dev.freshet.cuda;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The compiled kernels in the jar: which there are, in which unit, and the size of their argument. Immutable. */
final class KernelImages {

    private static final String FOLDER = "/kernels/";
    private static final int CUDA_13 = 13000;

    /** One kernel: its unit and the bytes of its parameter struct. */
    record Entry(String unit, int paramBytes) {}

    private final Map<String, Entry> kernels = new TreeMap<>();

    private KernelImages(JsonNode index) {
        index.get("kernels")
                .fields()
                .forEachRemaining(k -> kernels.put(
                        k.getKey(),
                        new Entry(
                                k.getValue().get("unit").asText(),
                                k.getValue().get("paramBytes").asInt())));
    }

    /** The images of this build, or null when it was made without nvcc. */
    static @Nullable KernelImages find() {
        try (InputStream in = KernelImages.class.getResourceAsStream(FOLDER + "kernels.json")) {
            return in == null ? null : new KernelImages(new ObjectMapper().readTree(in));
        } catch (IOException e) {
            throw new UncheckedIOException(
                    "Cannot read the index of the CUDA kernels: expected JSON (kernels.json). Build again.", e);
        }
    }

    /** Kernels by name. */
    Map<String, Entry> kernels() {
        return kernels;
    }

    /**
     * What to load of a unit: machine code where this driver takes it and it was built for the device, else PTX, which the driver
     * compiles once and keeps.
     */
    byte[] image(String unit, CudaDriver driver) {
        String target = target(driver);
        byte[] cubin = target.isEmpty() ? null : bytes(unit + "." + target + ".cubin");
        if (cubin != null) {
            return cubin;
        }
        byte[] ptx = bytes(unit + ".compute_80.ptx");
        if (ptx == null) {
            throw new IllegalStateException(
                    "Cannot load kernels: expected an image of unit " + unit + ", got none. Build gpu-native again.");
        }
        // The driver reads PTX up to a zero byte.
        return Arrays.copyOf(ptx, ptx.length + 1);
    }

    /** Machine code that fits device and driver, or empty. It runs on later minor versions of its device; nvcc 13 needs driver 13. */
    private static String target(CudaDriver driver) {
        if (driver.version() < CUDA_13 || driver.capability() > 90) {
            return "";
        }
        return driver.capability() == 90 ? "sm_90a" : "sm_80";
    }

    /** In words, what is loaded, and why not machine code. */
    String form(CudaDriver driver) {
        String target = target(driver);
        if (target.isEmpty()) {
            return driver.version() < CUDA_13
                    ? "PTX, compiled by the driver at first use (machine code needs a driver of CUDA 13)"
                    : "PTX, compiled by the driver at first use (this build has no machine code for the device)";
        }
        return bytes("norm." + target + ".cubin") == null ? "PTX" : target + " machine code";
    }

    private static byte @Nullable [] bytes(String name) {
        try (InputStream in = KernelImages.class.getResourceAsStream(FOLDER + name)) {
            return in == null ? null : in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot read the CUDA kernels (" + name + "). Check the jar.", e);
        }
    }
}
