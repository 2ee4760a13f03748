package dev.freshet.engine;

/**
 * Counts of one sequence. Immutable.
 *
 * @param promptTokens tokens of the prompt
 * @param generatedTokens tokens generated so far
 * @param drafts verifications with more than one node
 * @param draftTokens drafted nodes, roots not counted
 * @param acceptedDraftTokens drafted nodes that were accepted
 * @param resumed how often the sequence was restored from a snapshot
 * @param recomputedTokens tokens run through the model again after restores
 */
public record SequenceStats(
        int promptTokens,
        int generatedTokens,
        int drafts,
        int draftTokens,
        int acceptedDraftTokens,
        int resumed,
        int recomputedTokens) {}
