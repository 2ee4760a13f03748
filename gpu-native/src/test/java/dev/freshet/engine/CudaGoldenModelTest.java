package dev.freshet.engine;

import dev.freshet.cuda.FakeDriver;
import dev.freshet.kernel.Kernels;
import java.util.stream.Stream;

/** Both bodies, a cache, gates, an augmented form and a mixture of kinds; {@link CudaAllGoldenModelsTest} runs all models. */
final class CudaGoldenModelTest extends GoldenModelContract {

    public static Stream<String> models() {
        return GoldenModelContract.models()
                .filter(name -> name.matches(
                        ".*/(gpt2-performer|llama-(softmax|hybrid|flash_global-augmented|gla|gated_deltanet))"));
    }

    @Override
    protected Kernels open() {
        return FakeDriver.open();
    }
}
