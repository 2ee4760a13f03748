package dev.freshet.engine;

import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;

/**
 * What the engine is asked to generate, in token ids alone. Immutable.
 *
 * @param id unique among the sequences in the engine
 * @param prompt [n] token ids, n at least 1
 * @param params sampling parameters; ids are checked against the vocabulary by the caller
 * @param stop sees each generated token
 * @param speculation drafting mode
 * @param priority smaller is admitted earlier; equal values in order of arrival
 * @param kept whether the sequence is kept at its end for another to go on from it
 */
public record GenerationRequest(
        String id,
        int[] prompt,
        SamplingParams params,
        StopCondition stop,
        SpeculationMode speculation,
        int priority,
        boolean kept) {

    /** A request that nothing goes on from. */
    public GenerationRequest(
            String id,
            int[] prompt,
            SamplingParams params,
            StopCondition stop,
            SpeculationMode speculation,
            int priority) {
        this(id, prompt, params, stop, speculation, priority, false);
    }
}
