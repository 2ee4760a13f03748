package dev.freshet.operator;

import java.io.Serializable;

/** Loads the model of an operator where the operator runs. Serializable, so that the job graph carries it. */
@FunctionalInterface
public interface ModelLoader extends Serializable {

    /**
     * Loads the model.
     *
     * @param slots sequences that hold state at the same time
     * @throws dev.freshet.request.ConfigError when the model cannot be served
     */
    ServedModel load(int slots);
}
