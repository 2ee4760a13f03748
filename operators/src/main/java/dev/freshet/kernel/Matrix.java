package dev.freshet.kernel;

/** A weight matrix [n, k] packed for one backend: y = W x. Immutable. */
public interface Matrix {

    /** Number of outputs. */
    int n();

    /** Number of inputs. */
    int k();

    /** Memory it takes. */
    long bytes();
}
