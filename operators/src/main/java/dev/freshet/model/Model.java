package dev.freshet.model;

/** A language model with its slots. To be filled in by the core. */
public interface Model extends AutoCloseable {
    int vocabSize();
}
