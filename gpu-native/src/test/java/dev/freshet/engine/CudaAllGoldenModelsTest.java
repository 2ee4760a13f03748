package dev.freshet.engine;

import dev.freshet.cuda.FakeDriver;
import dev.freshet.kernel.Kernels;
import org.junit.jupiter.api.Tag;

@Tag("nightly")
final class CudaAllGoldenModelsTest extends GoldenModelContract {

    @Override
    protected Kernels open() {
        return FakeDriver.open();
    }
}
