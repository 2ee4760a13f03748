package dev.freshet.attention;

import dev.freshet.cuda.FakeDriver;
import dev.freshet.kernel.Kernels;
import org.junit.jupiter.api.Tag;

@Tag("nightly")
final class CudaAllAttentionGoldenTest extends AttentionGoldenContract {

    @Override
    protected Kernels open() {
        return FakeDriver.open();
    }
}
