package dev.freshet.attention;

import dev.freshet.cuda.FakeDriver;
import dev.freshet.kernel.Kernels;
import java.util.stream.Stream;
import org.junit.jupiter.params.provider.Arguments;

/**
 * A plain and an augmented case for every form of past, map, local attention and finish, or the cases whose names match
 * -Dfreshet.cases. {@link CudaAllAttentionGoldenTest} runs all.
 */
final class CudaAttentionGoldenTest extends AttentionGoldenContract {

    private static final String ONE_OF_EACH =
            "softmax|relu|performer|transnormer|yoso|linformer|retnet|gla|gated_deltanet"
                    + "|flash_local-g8|transnormer_diag-g8|yoso_local-g8|flash_global-augmented-g8|hedgehog-augmented-g8"
                    + "|linformer-augmented-g8|yoso-augmented-g8|transnormer-augmented-g8";

    public static Stream<Arguments> cases() {
        String wanted = System.getProperty("freshet.cases", ONE_OF_EACH);
        return AttentionGoldenContract.cases().filter(c -> c.get()[0].toString().matches(wanted));
    }

    @Override
    protected Kernels open() {
        return FakeDriver.open();
    }
}
