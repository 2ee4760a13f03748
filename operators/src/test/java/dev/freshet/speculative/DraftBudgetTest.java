package dev.freshet.speculative;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.sampling.CounterRng;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Simulated machines: a step costs fixed + perRow per row, a guess at depth i is right with probability p^i. */
final class DraftBudgetTest {

    private static final int STEPS = 20_000;
    private static final int[] SIZES = {1, 4, 8, 16, 64};

    @ParameterizedTest
    @CsvSource({
        // sequences, fixed, per row, chance: from "a row is free and guesses are right" to "rows cost and guesses are
        // wrong"
        "1,  1000, 10, 0.8",
        "1,  1000, 10, 0.0",
        "1,  1000, 400, 0.3",
        "8,  1000, 50, 0.7",
        "8,  1000, 300, 0.2",
        "32, 1000, 100, 0.6",
        "32, 1000, 900, 0.1",
        "32, 0, 100, 0.9"
    })
    void neverMuchSlowerThanPlainAndCloseToTheBestSize(int sequences, double fixed, double perRow, double chance) {
        double plain = rate(sequences, fixed, perRow, chance, 1);
        double best = 0;
        for (int size : SIZES) {
            best = Math.max(best, rate(sequences, fixed, perRow, chance, size));
        }
        DraftBudget budget = new DraftBudget(SIZES);
        double tokens = 0;
        double nanos = 0;
        for (int step = 0; step < STEPS; step++) {
            int nodes = budget.nodes(sequences);
            double cost = cost(sequences, fixed, perRow, nodes);
            // Ten per cent of noise on the clock, one step in fifty three times as slow.
            double noise = 0.95 + 0.1 * CounterRng.uniform(1, step) + (step % 50 == 7 ? 2 : 0);
            int drawn = 0;
            for (int s = 0; s < sequences; s++) {
                drawn += accepted(nodes, chance, step * 64L + s);
            }
            budget.record(sequences, drawn, (long) (1000 * cost * noise));
            tokens += sequences * expected(nodes, chance);
            nanos += cost;
        }
        double achieved = tokens / nanos;
        assertThat(achieved / plain).as("against plain decoding").isGreaterThan(0.97);
        assertThat(achieved / best).as("against the best size").isGreaterThan(0.85);
    }

    private static double cost(int sequences, double fixed, double perRow, int nodes) {
        return fixed + perRow * sequences * nodes;
    }

    private static int depth(int nodes) {
        return Math.min(5, 32 - Integer.numberOfLeadingZeros(nodes) - 1);
    }

    private static double expected(int nodes, double chance) {
        double sum = 1;
        for (int d = 1; d <= depth(nodes); d++) {
            sum += Math.pow(chance, d);
        }
        return sum;
    }

    private static int accepted(int nodes, double chance, long draw) {
        int n = 1;
        while (n <= depth(nodes) && CounterRng.uniform(9 + n, draw) < chance) {
            n++;
        }
        return n;
    }

    private static double rate(int sequences, double fixed, double perRow, double chance, int nodes) {
        return sequences * expected(nodes, chance) / cost(sequences, fixed, perRow, nodes);
    }
}
