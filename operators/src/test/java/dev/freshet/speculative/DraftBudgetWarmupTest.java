package dev.freshet.speculative;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.sampling.CounterRng;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A machine whose steps become faster while the compiler works: early measurements must not mislead for long. */
final class DraftBudgetWarmupTest {

    private static final int[] SIZES = {1, 4, 8, 16, 64};

    @ParameterizedTest
    @CsvSource({"1, 0.3, 400", "1, 0.0, 100", "8, 0.1, 100", "32, 0.2, 500"})
    void plainDecodingIsNotGivenUpForAColdMeasurement(int sequences, double chance, double perRow) {
        DraftBudget budget = new DraftBudget(SIZES);
        double[] achieved = new double[2];
        double[] plain = new double[2];
        for (int step = 0; step < 12_000; step++) {
            double warm = 1 + 9 * Math.exp(-step / 300.0);
            int nodes = budget.nodes(sequences);
            double cost = warm * (1000 + perRow * sequences * nodes);
            int tokens = 0;
            for (int s = 0; s < sequences; s++) {
                int n = 1;
                while (n < nodes && CounterRng.uniform(3 + n, step * 64L + s) < chance) {
                    n++;
                }
                tokens += n;
            }
            budget.record(sequences, tokens, (long) (1000 * cost));
            int half = step < 2_000 ? 0 : 1;
            achieved[half] += tokens / (double) sequences;
            plain[half] += cost / (warm * (1000 + perRow * sequences));
        }
        assertThat(achieved[0] / plain[0]).as("while it warms up").isGreaterThan(0.85);
        assertThat(achieved[1] / plain[1]).as("after it").isGreaterThan(0.97);
    }
}
