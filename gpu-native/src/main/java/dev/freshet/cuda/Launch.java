package dev.freshet.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import jcuda.Pointer;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/**
 * One launch at a time: names the kernel, writes its parameter struct field by field in the order of the sources, then runs it. The
 * size of what was written must be the size of the struct. Confined to the engine thread.
 */
final class Launch {

    private static final int MAX_PARAMS = 4096;

    private final CudaContext context;
    private final KernelModule module;
    private final PassGraphs graphs;
    private final ByteBuffer params = ByteBuffer.allocateDirect(MAX_PARAMS).order(ByteOrder.nativeOrder());
    private final Pointer argument = Pointer.to(Pointer.to(params));
    private KernelModule.@Nullable Function function;

    Launch(CudaContext context, KernelModule module, PassGraphs graphs) {
        this.context = context;
        this.module = module;
        this.graphs = graphs;
    }

    /** Begins a launch. */
    Launch of(String kernel) {
        function = module.get(kernel);
        params.clear();
        return this;
    }

    /** Appends a pointer; null for absent. */
    Launch pointer(@Nullable DeviceBuffer buffer) {
        align(8);
        params.putLong(buffer == null ? 0 : buffer.address().value());
        return this;
    }

    /** Appends a pointer to element i of a buffer. */
    Launch pointer(DeviceBuffer buffer, long i) {
        align(8);
        params.putLong(buffer.address().value() + 4 * i);
        return this;
    }

    /** Appends an int. */
    Launch i32(int value) {
        params.putInt(value);
        return this;
    }

    /** Appends a flag as an int. */
    Launch flag(boolean value) {
        return i32(value ? 1 : 0);
    }

    /** Appends a float. */
    Launch f32(float value) {
        params.putFloat(value);
        return this;
    }

    private void align(int bytes) {
        while (params.position() % bytes != 0) {
            params.put((byte) 0);
        }
    }

    /** Launches with a one-dimensional grid. */
    void run(int grid, int block, int sharedBytes) {
        run(grid, 1, 1, block, sharedBytes);
    }

    /**
     * Launches the kernel on the stream, or notes the launch while a pass is learned.
     *
     * @throws IllegalStateException when the parameters do not fill the struct
     */
    void run(int gridX, int gridY, int gridZ, int block, int sharedBytes) {
        KernelModule.Function f = Objects.requireNonNull(function);
        align(8);
        int bytes = params.position();
        // A struct of ints alone ends without the padding that a pointer asks for.
        if (bytes != f.paramBytes && bytes != f.paramBytes + 4) {
            throw new IllegalStateException("Cannot launch " + f.name + ": expected " + f.paramBytes
                    + " bytes of parameters, got " + bytes + ". Make the Java side match the struct.");
        }
        if (sharedBytes > context.maxSharedBytes()) {
            throw new IllegalStateException("Cannot launch " + f.name + ": expected at most "
                    + context.maxSharedBytes() + " bytes of shared memory, got " + sharedBytes
                    + ". The model's heads or groups are too large for this device; use --kernels vector.");
        }
        module.allowShared(f, sharedBytes);
        if (!graphs.note(f.number, gridX, gridY, gridZ, block, sharedBytes, params, bytes)) {
            return;
        }
        context.guarded(
                () -> JCudaDriver.cuLaunchKernel(
                        f.handle, gridX, gridY, gridZ, block, 1, 1, sharedBytes, context.stream(), argument, null),
                "launch " + f.name);
    }
}
