package dev.freshet.engine;

import dev.freshet.request.RequestError;
import dev.freshet.sampling.Logprobs;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one engine step produced. Immutable.
 *
 * @param admitted sequences that got a slot at the start of the step
 * @param accepted new tokens, at most one entry for each sequence, those that finish included
 * @param finished sequences that ended in this step; they have left the engine
 * @param stats counts of the step
 */
public record StepResult(List<String> admitted, List<Accepted> accepted, List<Finished> finished, Stats stats) {

    /**
     * New tokens of one sequence.
     *
     * @param id sequence
     * @param tokens [n] accepted tokens, n at least 1
     * @param logprobs one for each token, empty when not requested
     */
    public record Accepted(String id, int[] tokens, List<Logprobs> logprobs) {}

    /**
     * A sequence that ended.
     *
     * @param id sequence
     * @param reason why it ended
     * @param stop what matched, with reason STOP
     * @param error what went wrong, with reason ERROR or ABORT
     * @param tokens all generated tokens, a stop token included
     * @param logprobs one for each token, empty when not requested
     * @param stats counts of the sequence
     * @param kept what another sequence goes on from, with reason STOP or LENGTH, when the request asked for it
     */
    public record Finished(
            String id,
            FinishReason reason,
            @Nullable StopMatch stop,
            @Nullable RequestError error,
            int[] tokens,
            List<Logprobs> logprobs,
            SequenceStats stats,
            @Nullable Continuation kept) {}

    /**
     * Counts of one step.
     *
     * @param rows token rows run through the model
     * @param promptTokens prompt tokens among them
     * @param generatedTokens tokens accepted
     * @param drafts verifications with more than one node
     * @param draftTokens drafted nodes, roots not counted
     * @param acceptedDraftTokens drafted nodes accepted
     */
    public record Stats(
            int rows, int promptTokens, int generatedTokens, int drafts, int draftTokens, int acceptedDraftTokens) {}
}
