package dev.freshet.cuda;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUmodule;
import jcuda.driver.JCudaDriver;

/** All kernels, loaded. Confined to the engine thread. */
final class KernelModule {

    /** Shared memory that a block may have without asking. */
    private static final int USUAL_SHARED = 48 << 10;

    private final CudaContext context;
    private final Map<String, Function> functions = new HashMap<>();
    private final List<CUmodule> modules = new ArrayList<>();

    /** A kernel that can be launched. */
    static final class Function {
        final String name;
        final CUfunction handle;
        final int paramBytes;
        final int number;
        private int sharedLimit = USUAL_SHARED;

        Function(String name, CUfunction handle, int paramBytes, int number) {
            this.name = name;
            this.handle = handle;
            this.paramBytes = paramBytes;
            this.number = number;
        }
    }

    KernelModule(CudaContext context, KernelImages images, CudaDriver driver) {
        this.context = context;
        Map<String, CUmodule> units = new HashMap<>();
        images.kernels().forEach((name, entry) -> {
            CUmodule module = units.computeIfAbsent(entry.unit(), unit -> load(unit, images.image(unit, driver)));
            CUfunction handle = new CUfunction();
            context.check(JCudaDriver.cuModuleGetFunction(handle, module, name), "find kernel " + name);
            functions.put(name, new Function(name, handle, entry.paramBytes(), functions.size()));
        });
    }

    private CUmodule load(String unit, byte[] image) {
        CUmodule module = new CUmodule();
        context.check(JCudaDriver.cuModuleLoadData(module, image), "load the kernels of " + unit);
        modules.add(module);
        return module;
    }

    Function get(String name) {
        return Objects.requireNonNull(functions.get(name), () -> "no kernel " + name);
    }

    /** Lets a kernel have more shared memory than usual. */
    void allowShared(Function function, int bytes) {
        if (bytes > function.sharedLimit) {
            context.check(
                    JCudaDriver.cuFuncSetAttribute(
                            function.handle,
                            CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                            bytes),
                    "give kernel " + function.name + " " + bytes + " bytes of shared memory");
            function.sharedLimit = bytes;
        }
    }

    void unload() {
        modules.forEach(JCudaDriver::cuModuleUnload);
        modules.clear();
    }
}
