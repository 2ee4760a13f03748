package dev.freshet.engine;

import dev.freshet.model.Model;
import java.util.List;

/**
 * Continuous batching over one model: sequences join at any step, long prompts are run in chunks, and finished ones leave.
 * Confined to the engine thread.
 */
public final class Engine {

    /** Creates an engine with as many slots as the model's state pool. */
    public Engine(Model model, EngineConfig config) {
        throw new UnsupportedOperationException();
    }

    /** Whether {@link #submit} would accept another sequence. */
    public boolean hasRoom() {
        throw new UnsupportedOperationException();
    }

    /** Queues a sequence; throws IllegalStateException when there is no room or the id is taken. */
    public void submit(GenerationRequest request) {
        throw new UnsupportedOperationException();
    }

    /** Queues a restored sequence ahead of new ones, room or not; stop must have seen the output tokens already. */
    public void restore(SequenceSnapshot snapshot, StopCondition stop) {
        throw new UnsupportedOperationException();
    }

    /** Removes a sequence; returns what it generated so far (reason ABORT, no error set), or null when the id is unknown. */
    public StepResult.@org.jspecify.annotations.Nullable Finished cancel(String id) {
        throw new UnsupportedOperationException();
    }

    /** Whether no sequence waits or decodes. */
    public boolean isIdle() {
        throw new UnsupportedOperationException();
    }

    /** Sequences with a slot. */
    public int running() {
        throw new UnsupportedOperationException();
    }

    /** Sequences without a slot. */
    public int waiting() {
        throw new UnsupportedOperationException();
    }

    /** Runs one iteration over all sequences that have a slot; an idle engine returns an empty result. */
    public StepResult step() {
        throw new UnsupportedOperationException();
    }

    /** Returns all sequences in order of admission, waiting ones last. */
    public List<SequenceSnapshot> snapshot() {
        throw new UnsupportedOperationException();
    }
}
