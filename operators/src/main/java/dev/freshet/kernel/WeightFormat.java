package dev.freshet.kernel;

/** How a weight matrix is kept in memory. Activations, state and sums are f32 in every format. */
public enum WeightFormat {
    /** 4 bytes a weight. */
    F32,
    /** 2 bytes a weight, the upper half of an f32. */
    BF16,
    /** 1 byte a weight and one f32 scale for each output row. */
    INT8
}
