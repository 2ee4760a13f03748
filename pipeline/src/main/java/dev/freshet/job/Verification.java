package dev.freshet.job;

import java.util.List;

/**
 * What the topics of a job hold, compared with the law that inputs = completions + errors + dead letters + duplicates. Immutable.
 *
 * @param inputs records of the prompts topic
 * @param completions answers without an error
 * @param errors answers with an error
 * @param deadLetters records that could not be served
 * @param duplicates inputs that repeat an answered one with the same id byte for byte, and have no outcome of their own
 * @param resumed completions that went on from a checkpoint at least once
 * @param otherSources outcomes for records of other topics, which are no part of the law
 * @param expired outcomes for inputs that the broker has deleted
 * @param missing inputs without an outcome
 * @param twice inputs with more than one outcome, and ids with more than one completion
 * @param corrupt outcomes that cannot be read, or whose checksum is missing or wrong
 * @param unknown outcomes for inputs that do not exist
 * @param notes what limits the result, for a person
 */
public record Verification(
        long inputs,
        long completions,
        long errors,
        long deadLetters,
        long duplicates,
        long resumed,
        long otherSources,
        long expired,
        Finding missing,
        Finding twice,
        Finding corrupt,
        Finding unknown,
        List<String> notes) {

    /**
     * How often something was found, and where first.
     *
     * @param count all of them
     * @param first the first ones: positions as topic-partition-offset, with a reason where there are several kinds
     */
    public record Finding(long count, List<String> first) {

        public Finding {
            first = List.copyOf(first);
        }
    }

    public Verification {
        notes = List.copyOf(notes);
    }

    /** Whether every input has exactly one sound outcome. */
    public boolean holds() {
        return missing.count() == 0
                && twice.count() == 0
                && corrupt.count() == 0
                && unknown.count() == 0
                && inputs == completions + errors + deadLetters - expired + duplicates;
    }
}
