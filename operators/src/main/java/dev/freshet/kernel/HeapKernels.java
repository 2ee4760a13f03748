package dev.freshet.kernel;

import java.util.Arrays;

/** What both CPU backends do alike: buffers are arrays on the heap. */
abstract class HeapKernels implements Kernels {

    @Override
    public final Buffer allocate(long floats) {
        if (floats > Integer.MAX_VALUE - 16) {
            throw new IllegalArgumentException("Cannot allocate a buffer: expected fewer than 2^31 floats, got "
                    + floats + ". Use fewer slots or a shorter context.");
        }
        return new FloatArray((int) floats);
    }

    @Override
    public final Buffer upload(float[] values) {
        return new FloatArray(values.clone());
    }

    @Override
    public final void read(Buffer source, long offset, float[] out, int at, int count) {
        System.arraycopy(FloatArray.of(source), Math.toIntExact(offset), out, at, count);
    }

    @Override
    public final float[] host(Buffer source, int count, float[] scratch) {
        return FloatArray.of(source);
    }

    @Override
    public final void write(float[] source, int at, int count, Buffer target, long offset) {
        System.arraycopy(source, at, FloatArray.of(target), Math.toIntExact(offset), count);
    }

    @Override
    public final void gather(Buffer x, int[] index, int rows, int dim, Buffer out) {
        float[] from = FloatArray.of(x);
        float[] to = FloatArray.of(out);
        for (int i = 0; i < rows; i++) {
            System.arraycopy(from, index[i] * dim, to, i * dim, dim);
        }
    }

    @Override
    public final int save(AttentionSpec spec, Buffer slot, int offset, int tokens, float[] out, int at) {
        float[] state = FloatArray.of(slot);
        int[] next = {at};
        StateRegions.visit(spec, tokens, (start, rows, stride, width) -> {
            for (int r = 0; r < rows; r++) {
                System.arraycopy(state, offset + start + r * stride, out, next[0], width);
                next[0] += width;
            }
        });
        return next[0] - at;
    }

    @Override
    public final int load(AttentionSpec spec, Buffer slot, int offset, int tokens, float[] values, int at) {
        float[] state = FloatArray.of(slot);
        int[] next = {at};
        StateRegions.visit(spec, tokens, (start, rows, stride, width) -> {
            for (int r = 0; r < rows; r++) {
                System.arraycopy(values, next[0], state, offset + start + r * stride, width);
                next[0] += width;
            }
        });
        return next[0] - at;
    }

    @Override
    public final void clear(AttentionSpec spec, Buffer slot, int offset, int tokens) {
        float[] state = FloatArray.of(slot);
        int d = spec.headDim();
        for (int g = 0; g < spec.kvHeads(); g++) {
            int base = offset + spec.head(g);
            if (spec.past() == AttentionSpec.Past.CACHE) {
                int used = Math.min(tokens, spec.capacity());
                int blocks = (used + AttentionSpec.BLOCK - 1) / AttentionSpec.BLOCK;
                Arrays.fill(state, base, base + blocks * AttentionSpec.BLOCK * d, 0f);
                int values = base + spec.cacheValues();
                Arrays.fill(state, values, values + used * d, 0f);
            } else {
                Arrays.fill(state, base, base + spec.headFloats(), 0f);
            }
        }
    }

    /** Refuses rows that lie beyond the open group or the capacity of their sequence. */
    static void checkWithinGroup(AttentionSpec spec, Segments segments) {
        segments.requireWithin(spec);
    }

    @Override
    public void close() {
        // Nothing to give back.
    }
}
