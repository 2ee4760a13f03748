package dev.freshet.kernel;

/** Numbers in the memory of one backend; only the {@link Kernels} that made it looks inside. Confined to the engine thread. */
public interface Buffer {

    /** Number of float elements. */
    long length();
}
