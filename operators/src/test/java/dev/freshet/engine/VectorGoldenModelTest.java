package dev.freshet.engine;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.VectorKernels;

final class VectorGoldenModelTest extends GoldenModelContract {

    @Override
    protected Kernels open() {
        return new VectorKernels(2);
    }
}
