package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.CleanupMode;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Nothing is lost, nothing comes twice, and no text is different, whatever dies. Set {@code chaos.seed} for another order of
 * faults, and {@code chaos.rounds} and {@code chaos.prompts} for more of them.
 */
class ChaosITCase {

    private static final Logger LOG = LoggerFactory.getLogger(ChaosITCase.class);

    private static void endure(Path directory, long seed, List<ChaosRun.Fault> faults, long prompts, int perSecond)
            throws Exception {
        List<ChaosRun.Fault> order = new ArrayList<>(faults);
        // A shuffle that only the seed decides.
        java.util.SplittableRandom random = new java.util.SplittableRandom(seed ^ 0x5DEECE66DL);
        for (int i = order.size() - 1; i > 0; i--) {
            Collections.swap(order, i, random.nextInt(i + 1));
        }
        ChaosRun.Result result;
        try (ChaosRun run = new ChaosRun(directory, seed)) {
            result = run.run(order, prompts, perSecond);
        }
        Verification v = result.verification();
        LOG.warn("chaos of seed {} in the order {}: {}{}", seed, order, v, ChaosReport.of(seed, result));
        assertThat(v.holds()).as("seed %d: %s", seed, v).isTrue();
        assertThat(result.different()).as("seed %d", seed).isZero();
        assertThat(result.leaks()).isEmpty();
        assertThat(v.resumed()).as("the faults met texts in the middle").isPositive();
        assertThat(result.work().recomputed())
                .as("committed tokens run again, seed %d", seed)
                .isZero();
        assertThat(result.events().stream().filter(e -> e.fault() == ChaosRun.Fault.RESCALE))
                .allMatch(e -> e.inFlight().sequences() >= 100);
    }

    /** What fits a build: one task manager at any time, and the points that are hardest to get right. */
    @Test
    void everyPromptHasOneRightAnswerAfterAFewFaults(@TempDir(cleanup = CleanupMode.ON_SUCCESS) Path directory)
            throws Exception {
        endure(
                directory,
                Long.getLong("chaos.seed", 7),
                List.of(
                        ChaosRun.Fault.TASK_MANAGER,
                        ChaosRun.Fault.BEFORE_COMMIT,
                        ChaosRun.Fault.BROKER,
                        ChaosRun.Fault.JOB_MANAGER,
                        ChaosRun.Fault.RESCALE),
                1_000,
                30);
    }

    /** Every fault, as often as a change to the code of the stream should meet it: some eight minutes. */
    @Test
    @Tag("nightly")
    void everyPromptHasOneRightAnswerAfterEveryFault(@TempDir(cleanup = CleanupMode.ON_SUCCESS) Path directory)
            throws Exception {
        List<ChaosRun.Fault> faults = new ArrayList<>(List.of(ChaosRun.Fault.values()));
        faults.addAll(Collections.nCopies(9, ChaosRun.Fault.TASK_MANAGER));
        faults.addAll(List.of(
                ChaosRun.Fault.JOB_MANAGER,
                ChaosRun.Fault.BROKER,
                ChaosRun.Fault.OUTAGE,
                ChaosRun.Fault.RESCALE,
                ChaosRun.Fault.RESCALE));
        endure(directory, Long.getLong("chaos.seed", 5), faults, Long.getLong("chaos.prompts", 5_000), 30);
    }

    /** Ten times a round of all faults and three more task managers; the scale of a night is {@code -Dchaos.rounds=20}. */
    @Test
    @Tag("nightly")
    void everyPromptHasOneRightAnswerAfterManyFaults(@TempDir(cleanup = CleanupMode.ON_SUCCESS) Path directory)
            throws Exception {
        List<ChaosRun.Fault> faults = new ArrayList<>();
        for (int round = 0; round < Integer.getInteger("chaos.rounds", 10); round++) {
            faults.addAll(List.of(ChaosRun.Fault.values()));
            faults.add(ChaosRun.Fault.TASK_MANAGER);
            faults.add(ChaosRun.Fault.TASK_MANAGER);
            faults.add(ChaosRun.Fault.TASK_MANAGER);
        }
        endure(directory, Long.getLong("chaos.seed", 11), faults, Long.getLong("chaos.prompts", 10_000), 30);
    }
}
