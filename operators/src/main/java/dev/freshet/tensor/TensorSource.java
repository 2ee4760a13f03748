package dev.freshet.tensor;

/** Where the tensors of a model come from. The methods may be called from any thread. */
public interface TensorSource {

    /** Whether a tensor of this name exists. */
    boolean has(String name);

    /**
     * Describes a tensor.
     *
     * @throws dev.freshet.request.ConfigError when there is none of this name
     */
    TensorInfo info(String name);

    /**
     * Reads consecutive elements as floats.
     *
     * @param out overwritten from outOffset on, count elements
     */
    void readFloats(String name, long firstElement, float[] out, int outOffset, int count);

    /**
     * Reads a whole tensor.
     *
     * @throws dev.freshet.request.ConfigError when it is missing or its shape is another one
     */
    float[] floats(String name, long... expectedShape);
}
