package dev.freshet.kernel;

import dev.freshet.cuda.FakeDriver;

final class CudaKernelsTest extends KernelsContract {

    @Override
    protected Kernels open() {
        return FakeDriver.open();
    }

    /** Tensor cores take bf16; rounding both sides first leaves the tolerance where it is. */
    @Override
    protected float[] activations(float[] x, WeightFormat format) {
        if (format != WeightFormat.F32) {
            Quantization.round(x, WeightFormat.BF16);
        }
        return x;
    }
}
