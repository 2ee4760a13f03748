package dev.freshet.speculative;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.sampling.CounterRng;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@link DraftBudget} promises, on machines whose costs and texts are chosen by a test. */
final class DraftBudgetTest {

    private static final double PROMISE = 0.97;

    @ParameterizedTest
    @CsvSource({
        // sequences, fixed, per row, chance: from "a row is free and guesses are right" to "rows cost and guesses are
        // wrong"
        "1,  1000, 10, 0.8",
        "1,  1000, 10, 0.0",
        "1,  1000, 400, 0.3",
        "1,  1000, 60, 0.5",
        "8,  1000, 50, 0.7",
        "8,  1000, 300, 0.2",
        "32, 1000, 100, 0.6",
        "32, 1000, 900, 0.1",
        "32, 0, 100, 0.9",
        "32, 0, 100, 0.0",
        "5,  3000, 300, 0.8"
    })
    void neverMuchSlowerThanPlainAndCloseToTheBestSize(int sequences, double fixed, double perRow, double chance) {
        DraftMachine.Cost cost = (step, n, nodes) -> fixed + perRow * n * nodes;
        double best = DraftMachine.best(sequences, cost, chance);
        DraftMachine machine = new DraftMachine();
        double early =
                machine.run(1_000, sequences, cost, (s, n) -> chance, true).gain();
        double late =
                machine.run(19_000, sequences, cost, (s, n) -> chance, true).gain();
        assertThat(early).as("against plain decoding, first steps").isGreaterThan(PROMISE);
        assertThat(late).as("against plain decoding").isGreaterThan(PROMISE);
        assertThat(late / best).as("of the best size").isGreaterThan(0.9);
    }

    @ParameterizedTest
    @ValueSource(ints = {100, 300, 1_000, 3_000, 20_000})
    void losesNoMoreWhileItLearns(int steps) {
        for (int sequences : new int[] {1, 8, 32}) {
            DraftMachine machine =
                    new DraftMachine().run(steps, sequences, (s, n, nodes) -> 100.0 * n * nodes, (s, n) -> 0, true);
            assertThat(machine.gain()).as("%d sequences", sequences).isGreaterThan(PROMISE);
        }
    }

    @Test
    void costsThatJumpAtOneSizeAreMetOnceInAWhile() {
        for (int cliff : DraftMachine.SIZES) {
            DraftMachine.Cost cost = (s, n, nodes) -> 1000 + 10 * nodes + (nodes > 1 && nodes >= cliff ? 20_000 : 0);
            DraftMachine machine = new DraftMachine().run(20_000, 4, cost, (s, n) -> 0.1, true);
            assertThat(machine.gain()).as("cliff at %d nodes", cliff).isGreaterThan(PROMISE);
        }
    }

    @Test
    void textsThatTurnBadWhenDraftsAreUsedCostNoMore() {
        // Guesses are right for a while, so that a size looks good, then wrong for longer.
        for (int period : new int[] {20, 100, 700, 3_000}) {
            DraftMachine machine = new DraftMachine()
                    .run(
                            30_000,
                            8,
                            (s, n, nodes) -> 1000 + 300 * nodes,
                            (s, n) -> s % period < period / 4 ? 0.95 : 0,
                            true);
            assertThat(machine.gain()).as("period %d", period).isGreaterThan(PROMISE);
        }
    }

    @Test
    void oneModelServesEveryNumberOfSequences() {
        DraftMachine machine = new DraftMachine();
        DraftMachine.Cost cost = (s, n, nodes) -> 2000 + 20 * n * nodes;
        for (int i = 0; i < 20_000; i++) {
            machine.run(1, 1 + (int) (32 * CounterRng.uniform(3, i)), cost, (s, n) -> 0.7, true);
        }
        assertThat(machine.gain()).isGreaterThan(1.4);
        DraftMachine wrong = new DraftMachine();
        for (int i = 0; i < 20_000; i++) {
            wrong.run(1, 1 + (int) (32 * CounterRng.uniform(3, i)), cost, (s, n) -> 0, true);
        }
        assertThat(wrong.gain()).isGreaterThan(PROMISE);
    }

    @Test
    void speculationThatPaysIsFoundSoon() {
        DraftMachine.Cost cost = (s, n, nodes) -> 1000 + 10.0 * nodes;
        DraftMachine machine = new DraftMachine().run(1_000, 1, cost, (s, n) -> 0.7, false);
        assertThat(machine.gain()).isGreaterThan(0.85 * DraftMachine.best(1, cost, 0.7));
    }

    @Test
    void returnsToDraftsWhenTextsTurnGood() {
        DraftMachine.Cost cost = (s, n, nodes) -> 1000 + 20.0 * nodes;
        DraftMachine machine = new DraftMachine().run(10_000, 2, cost, (s, n) -> 0, true);
        double before = machine.gain();
        machine.run(20_000, 2, cost, (s, n) -> 0.8, true);
        assertThat(before).isGreaterThan(PROMISE);
        assertThat(machine.gain()).isGreaterThan(1.4);
    }

    /** A machine whose steps become faster while the compiler works: early measurements must not mislead for long. */
    @ParameterizedTest
    @CsvSource({"1, 0.3, 400", "1, 0.0, 100", "8, 0.1, 100", "32, 0.2, 500"})
    void coldMeasurementsDoNotMislead(int sequences, double chance, double perRow) {
        DraftMachine.Cost cost =
                (s, n, nodes) -> (1 + 9 * Math.exp(-s / 300.0)) * (1000 + perRow * n * nodes) * (s < 800 ? nodes : 1);
        DraftMachine machine = new DraftMachine().run(2_000, sequences, cost, (s, n) -> chance, true);
        assertThat(machine.gain()).as("while it warms up").isGreaterThan(PROMISE);
        machine.run(10_000, sequences, cost, (s, n) -> chance, true);
        assertThat(machine.gain()).as("after it").isGreaterThan(PROMISE);
    }
}
