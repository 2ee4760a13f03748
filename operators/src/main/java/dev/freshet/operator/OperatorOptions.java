package dev.freshet.operator;

import dev.freshet.request.SpeculationMode;
import java.io.Serializable;
import java.time.Duration;

/**
 * What a job tells its generate operator. Serializable, so that the job graph carries it. Immutable.
 *
 * @param job name of the job, written into metrics and dead letters
 * @param slots sequences that decode together in one subtask
 * @param queue requests that may wait for a slot in one subtask
 * @param prefillTokens prompt tokens run in one step beside the decoding sequences
 * @param speculation drafting mode of requests that name none
 * @param chatFormat id of the chat format of conversations that name none
 * @param metricsInterval time between two metric records
 * @param checkpointInterval time between two checkpoints, zero when there are none; see {@link GenerateOperator}
 * @param recentIds ids of past requests remembered to recognise duplicates, 0 to answer every request
 * @param allowModelChange whether sequences of a checkpoint may go on with another model, from their prompts
 */
public record OperatorOptions(
        String job,
        int slots,
        int queue,
        int prefillTokens,
        SpeculationMode speculation,
        String chatFormat,
        Duration metricsInterval,
        Duration checkpointInterval,
        int recentIds,
        boolean allowModelChange)
        implements Serializable {

    private static final long serialVersionUID = 1L;

    /** Returns options for a number of slots: a queue of four times as many, 256 prompt tokens a step, metrics every second. */
    public static OperatorOptions of(String job, int slots) {
        return new OperatorOptions(
                job,
                slots,
                4 * slots,
                256,
                SpeculationMode.AUTO,
                "plain",
                Duration.ofSeconds(1),
                Duration.ofSeconds(10),
                16_384,
                false);
    }
}
