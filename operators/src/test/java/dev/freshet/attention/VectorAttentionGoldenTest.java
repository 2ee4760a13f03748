package dev.freshet.attention;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.VectorKernels;

final class VectorAttentionGoldenTest extends AttentionGoldenContract {

    @Override
    protected Kernels open() {
        return new VectorKernels(2);
    }
}
