package dev.freshet.engine;

import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.Logprobs;
import java.util.List;

/**
 * A sequence between two steps, waiting or decoding, as a checkpoint carries it: from the tokens the engine recomputes the
 * state bit for bit. Immutable.
 *
 * @param id unique id
 * @param prompt [n] prompt token ids
 * @param output [m] tokens generated so far
 * @param params sampling parameters
 * @param speculation drafting mode
 * @param priority smaller is admitted earlier
 * @param logprobs one for each output token, empty when not requested
 * @param stats counts so far
 */
public record SequenceSnapshot(
        String id,
        int[] prompt,
        int[] output,
        SamplingParams params,
        SpeculationMode speculation,
        int priority,
        List<Logprobs> logprobs,
        SequenceStats stats) {

    public SequenceSnapshot {
        logprobs = List.copyOf(logprobs);
    }
}
