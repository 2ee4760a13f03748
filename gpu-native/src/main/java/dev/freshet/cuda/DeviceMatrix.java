package dev.freshet.cuda;

import dev.freshet.kernel.Matrix;
import dev.freshet.kernel.MatrixSource;
import dev.freshet.kernel.Quantization;
import dev.freshet.kernel.WeightFormat;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Weights [n, k] on the device in the layout of dev.cuh: F32 in panels of 32 outputs, BF16 and INT8 in tiles of 16 outputs and 16 inputs
 * as the lanes of mma.m16n8k16 hold them. Immutable.
 *
 * @param scales INT8: one factor for each output, else null
 */
record DeviceMatrix(int n, int k, WeightFormat format, DeviceBuffer data, @Nullable DeviceBuffer scales)
        implements Matrix {

    private static final int PANEL = 32;
    private static final int TILE = 16;

    /** The matrix behind a matrix of this backend. */
    static DeviceMatrix of(Matrix matrix) {
        return (DeviceMatrix) matrix;
    }

    @Override
    public long bytes() {
        return 4 * (data.length() + (scales == null ? 0 : scales.length()));
    }

    /** The end of the names of its kernels. */
    String suffix() {
        return switch (format) {
            case F32 -> "f32";
            case BF16 -> "bf16";
            case INT8 -> "int8";
        };
    }

    /** Outputs that are packed together. */
    private static int strip(WeightFormat format) {
        return format == WeightFormat.F32 ? PANEL : TILE;
    }

    /** Bytes of the weights of one strip of outputs. */
    private static int stripBytes(int k, WeightFormat format) {
        int padded = (k + TILE - 1) / TILE * TILE;
        return switch (format) {
            case F32 -> 4 * k * PANEL;
            case BF16 -> 2 * padded * TILE;
            case INT8 -> padded * TILE;
        };
    }

    /** Packs and copies a matrix strip by strip; outputs and inputs beyond its end are zeros. */
    static DeviceMatrix pack(CudaContext context, MatrixSource source, int n, int k, WeightFormat format) {
        int strip = strip(format);
        int strips = (n + strip - 1) / strip;
        int bytes = stripBytes(k, format);
        if (bytes > context.stagingBytes()) {
            throw new IllegalArgumentException(
                    "Cannot pack a matrix of " + n + " x " + k + " weights: expected at most " + context.stagingBytes()
                            + " bytes for " + strip + " outputs, got " + bytes + ". Use --kernels vector.");
        }
        DeviceBuffer data = context.allocate((long) strips * bytes / 4, "weights");
        float[] scales = new float[format == WeightFormat.INT8 ? n : 0];
        float[] row = new float[k];
        for (int s = 0; s < strips; s++) {
            ByteBuffer to = context.stage(bytes);
            for (int i = 0; i < bytes; i += 4) {
                to.putInt(i, 0);
            }
            for (int i = 0; i < strip && s * strip + i < n; i++) {
                source.row(s * strip + i, row);
                switch (format) {
                    case F32 -> putF32(to, i, row);
                    case BF16 -> putBf16(to, i, row);
                    case INT8 -> scales[s * strip + i] = putInt8(to, i, row);
                }
            }
            context.send(bytes, data, (long) s * bytes / 4);
        }
        DeviceBuffer factors = null;
        if (scales.length > 0) {
            factors = context.allocate(n, "scales of weights");
            for (int from = 0; from < n; from += context.stagingBytes() / 4) {
                int count = Math.min(n - from, context.stagingBytes() / 4);
                context.stage(4 * count).asFloatBuffer().put(scales, from, count);
                context.send(4 * count, factors, from);
            }
        }
        return new DeviceMatrix(n, k, format, data, factors);
    }

    private static void putF32(ByteBuffer to, int i, float[] row) {
        for (int c = 0; c < row.length; c++) {
            to.putFloat(4 * (c * PANEL + i), row[c]);
        }
    }

    private static void putBf16(ByteBuffer to, int i, float[] row) {
        for (int c = 0; c < row.length; c++) {
            to.putShort(2 * tileIndex(i, c), (short) Quantization.bf16(row[c]));
        }
    }

    private static float putInt8(ByteBuffer to, int i, float[] row) {
        float scale = Quantization.scale(row);
        for (int c = 0; c < row.length; c++) {
            to.put(tileIndex(i, c), (byte) Quantization.int8(row[c], scale));
        }
        return scale;
    }

    /** Where weight (i, c) lies in a strip, i < 16; at_tile of dev.cuh. */
    static int tileIndex(int i, int c) {
        int q = c % TILE;
        int lane = i % 8 * 4 + q % 8 / 2;
        int register = i / 8 + 2 * (q / 8);
        return (c / TILE * 32 + lane) * 8 + register * 2 + q % 2;
    }
}
