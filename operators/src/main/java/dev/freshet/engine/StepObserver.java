package dev.freshet.engine;

import java.util.List;

/** Sees what a step is about to run, so that a process that dies in it leaves a trace. Confined to the engine thread. */
public interface StepObserver {

    /**
     * A sequence of the step.
     *
     * @param id sequence
     * @param position tokens of it in the state
     * @param rows rows of it in the step: tokens from position on, or a draft from there
     */
    record Running(String id, int position, int rows) {}

    /** The step begins. */
    void begin(List<Running> sequences);

    /** The step is over and its state committed. */
    void end();
}
