package dev.freshet.engine;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.ReferenceKernels;

final class ReferenceGoldenModelTest extends GoldenModelContract {

    @Override
    protected Kernels open() {
        return new ReferenceKernels();
    }
}
