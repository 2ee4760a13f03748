package dev.freshet.cuda;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import java.util.Objects;

/** Offers the backend as a service, and says precisely why it cannot run where it cannot. */
public final class CudaProvider implements KernelsProvider {

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public String obstacle() {
        if (KernelImages.find() == null) {
            return "this build holds no CUDA kernels, because nvcc was not found when it was made. Install the CUDA toolkit and build"
                    + " again with ./mvnw package -Dgpu.required=true.";
        }
        return CudaDriver.probe().obstacle();
    }

    @Override
    public Kernels open(int threads) {
        return new CudaKernels(
                CudaDriver.probe(),
                Objects.requireNonNull(KernelImages.find(), "obstacle() asks for images first"),
                CudaOptions.fromProperties(),
                FaultHandler.HALT);
    }
}
