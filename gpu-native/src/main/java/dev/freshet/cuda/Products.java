package dev.freshet.cuda;

import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.WeightFormat;
import org.jspecify.annotations.Nullable;

/** Matrix products as launches: which of the three forms takes so many rows. Confined to the engine thread. */
final class Products {

    private static final int DECODE_ROWS = 8;
    private static final int VERIFY_ROWS = 32;

    private final CudaContext context;
    private final Launch launch;

    Products(CudaContext context, Launch launch) {
        this.context = context;
        this.launch = launch;
    }

    /** Writes x Wᵀ + bias to out [rows, n], or adds it there; x [rows, k]. */
    void run(DeviceMatrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out, boolean add) {
        String type = w.suffix();
        // Shared memory of the kernels for few rows: 128 sums for each part of 256 inputs and each 8 rows.
        int parts = (w.k() + 255) / 256;
        boolean verifyFits = 4 * 512 * parts <= context.maxSharedBytes();
        boolean decodeFits = 512 * parts <= context.maxSharedBytes();
        int tall = (w.n() + 15) / 16;
        if (w.format() == WeightFormat.F32) {
            params("matmul_any_f32", w, bias, x, rows, out, add).run((w.n() + 127) / 128, (rows + 7) / 8, 1, 128, 0);
        } else if (rows <= DECODE_ROWS && decodeFits) {
            params("matmul_decode_" + type, w, bias, x, rows, out, add).run(tall, 1, 1, 256, 512 * parts);
        } else if (rows <= VERIFY_ROWS && verifyFits) {
            params("matmul_verify_" + type, w, bias, x, rows, out, add).run(tall, 1, 1, 256, 4 * 512 * parts);
        } else {
            params("matmul_prefill_" + type, w, bias, x, rows, out, add)
                    .run((w.n() + 63) / 64, (rows + 63) / 64, 1, 128, 16384);
        }
    }

    private Launch params(
            String kernel, DeviceMatrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out, boolean add) {
        return launch.of(kernel)
                .pointer(w.data())
                .pointer(w.scales())
                .pointer(bias == null ? null : DeviceBuffer.of(bias))
                .pointer(DeviceBuffer.of(x))
                .pointer(DeviceBuffer.of(out))
                .i32(rows)
                .i32(w.n())
                .i32(w.k())
                .flag(add);
    }
}
