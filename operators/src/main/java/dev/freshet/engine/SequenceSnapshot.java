package dev.freshet.engine;

import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.Logprobs;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A sequence between two steps, waiting or decoding, as a checkpoint carries it. With its state it goes on where it stood; from
 * its tokens the engine recomputes that state bit for bit. Immutable.
 *
 * @param id unique id
 * @param prompt [n] prompt token ids
 * @param output [m] tokens generated so far
 * @param params sampling parameters
 * @param speculation drafting mode
 * @param priority smaller is admitted earlier
 * @param logprobs one for each output token, empty when not requested
 * @param stats counts so far
 * @param committed tokens of prompt and output that the model had run
 * @param state the model's state after them, or null when the tokens have to do
 */
public record SequenceSnapshot(
        String id,
        int[] prompt,
        int[] output,
        SamplingParams params,
        SpeculationMode speculation,
        int priority,
        List<Logprobs> logprobs,
        SequenceStats stats,
        int committed,
        @Nullable SequenceState state) {

    public SequenceSnapshot {
        logprobs = List.copyOf(logprobs);
    }

    /** The same with another state or none. */
    public SequenceSnapshot withState(@Nullable SequenceState other) {
        return new SequenceSnapshot(
                id, prompt, output, params, speculation, priority, logprobs, stats, committed, other);
    }
}
