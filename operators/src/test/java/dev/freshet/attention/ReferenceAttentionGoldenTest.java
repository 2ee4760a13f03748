package dev.freshet.attention;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.ReferenceKernels;

final class ReferenceAttentionGoldenTest extends AttentionGoldenContract {

    @Override
    protected Kernels open() {
        return new ReferenceKernels();
    }
}
