package dev.freshet.tensor;

import java.nio.file.Path;
import java.util.Arrays;

/**
 * Where a tensor lies and what it looks like; checked against the length of its file. Immutable: nobody writes to shape.
 *
 * @param name name in the file
 * @param dtype element type
 * @param shape dimensions, outermost first; empty for a scalar
 * @param begin first byte, counted from the start of the file's data part
 * @param end byte after the last
 * @param file file that holds it
 */
public record TensorInfo(String name, DType dtype, long[] shape, long begin, long end, Path file) {

    /** Number of elements. */
    public long elements() {
        return (end - begin) / dtype.bytes();
    }

    /** Whether the dimensions are these. */
    public boolean hasShape(long... expected) {
        return Arrays.equals(shape, expected);
    }

    /** Shape and element type as messages show them, for example {@code [32, 64] BF16}. */
    public String describe() {
        return Arrays.toString(shape) + " " + dtype;
    }
}
