package dev.freshet.kernel;

/**
 * What a sequence has written into a layer's part of a slot, and no more: the past once a group has closed, the tokens of the open
 * group, the filled part of a cache. A checkpoint carries these floats in this order. Changing the order changes the meaning of
 * stored states: raise {@link #VERSION} with it.
 */
public final class StateRegions {

    /** Number of this order; part of what tells whether a stored state fits. */
    public static final int VERSION = 1;

    private StateRegions() {}

    /** Takes rows of width floats, each stride after the one before, the first at start floats from the start of the layer. */
    @FunctionalInterface
    public interface Visitor {
        void rows(int start, int rows, int stride, int width);
    }

    /** Visits the written rows of all key/value heads after so many tokens. */
    public static void visit(AttentionSpec spec, int tokens, Visitor visitor) {
        for (int g = 0; g < spec.kvHeads(); g++) {
            if (spec.past() == AttentionSpec.Past.CACHE) {
                cache(spec, spec.head(g), Math.min(tokens, spec.capacity()), visitor);
            } else {
                group(spec, spec.head(g), tokens, visitor);
            }
        }
    }

    /** Number of floats that a sequence of so many tokens has written. */
    public static int floats(AttentionSpec spec, int tokens) {
        int[] sum = new int[1];
        visit(spec, tokens, (start, rows, stride, width) -> sum[0] += rows * width);
        return sum[0];
    }

    private static void cache(AttentionSpec spec, int base, int used, Visitor visitor) {
        int d = spec.headDim();
        int whole = used / AttentionSpec.BLOCK * AttentionSpec.BLOCK;
        block(base, whole * d, visitor);
        rows(base + whole * d, d, AttentionSpec.BLOCK, used - whole, visitor);
        block(base + spec.cacheValues(), used * d, visitor);
    }

    private static void group(AttentionSpec spec, int base, int tokens, Visitor visitor) {
        int open = tokens % spec.group();
        int d = spec.headDim();
        int tail = 0;
        if (tokens >= spec.group()) {
            block(base, spec.pastFloats(), visitor);
            tail = spec.tail();
        }
        int stride = spec.groupStride();
        rows(base + spec.scoreOffset(), spec.scoreDim(), stride, open, visitor);
        rows(base + spec.closeOffset(), spec.closeDim(), stride, open, visitor);
        rows(base + spec.decayOffset(), spec.decayDim(), stride, open, visitor);
        block(base + spec.valueOffset() + (spec.tail() - tail) * d, (tail + open) * d, visitor);
    }

    private static void block(int start, int count, Visitor visitor) {
        rows(start, 1, count, count, visitor);
    }

    private static void rows(int start, int rows, int stride, int width, Visitor visitor) {
        if (rows > 0 && width > 0) {
            visitor.rows(start, rows, stride, width);
        }
    }
}
