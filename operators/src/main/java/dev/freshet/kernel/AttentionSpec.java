package dev.freshet.kernel;

/**
 * One attention layer in terms of kernels: what of the past is kept, how queries and keys enter it, what is added to it. The
 * formulas are in docs/maths.md §2. All offsets count floats from the start of the layer's part of a slot. Immutable.
 *
 * @param past what is kept of tokens outside the open group
 * @param map feature map of queries and keys before they meet the past
 * @param finish what is done to a head's sum
 * @param grouped whether the past covers earlier groups only, so that tokens of the open group reach the output through local
 * @param local attention within the open group, own token included
 * @param taps causal convolution over v: taps, the current token included; 0 for none
 * @param heads query heads H
 * @param kvHeads key/value heads, a divisor of H
 * @param headDim d
 * @param featureDim F, length of the features
 * @param group G, tokens between two updates of the past
 * @param capacity longest sequence of a CACHE layer
 * @param hashRounds TABLES: number of tables
 * @param hashBits TABLES: bits of a code; also the exponent of the local weight YOSO
 * @param slotCount SLOTS: R
 * @param slotPositions SLOTS: N, period of the slot rows
 */
public record AttentionSpec(
        Past past,
        FeatureMap map,
        Finish finish,
        boolean grouped,
        Local local,
        int taps,
        int heads,
        int kvHeads,
        int headDim,
        int featureDim,
        int group,
        int capacity,
        int hashRounds,
        int hashBits,
        int slotCount,
        int slotPositions) {

    /** Tokens of one block of a CACHE; its keys lie transposed, [d, 64]. */
    public static final int BLOCK = 64;

    /** What is kept of the tokens that have left the open group. */
    public enum Past {
        /** Nothing. */
        NONE,
        /** Keys and values of all tokens. */
        CACHE,
        /** S = sum of features x values, z = sum of features. */
        SUM,
        /** Hash tables of values. */
        TABLES,
        /** Memory slots of keys and values. */
        SLOTS,
        /** S with a fixed decay for each key/value head. */
        DECAY,
        /** S with a decay for each token and channel. */
        CHANNEL_DECAY,
        /** S with a decay and the delta rule. */
        DELTA
    }

    /** Feature map of queries and keys. */
    public enum FeatureMap {
        IDENTITY,
        RELU,
        /** 1 + elu(x). */
        ELU,
        /** x / max(|x|, 1e-6). */
        UNIT,
        /** m^-1/2 exp(W x' - |x'|^2 / 2), x' = x d^-1/4. */
        RANDOM_EXP,
        /** [softmax(W x), softmax(-W x)]. */
        SOFTMAX_PAIR,
        /** Codes of sign projections. */
        HASH
    }

    /** What is done to the sum of a head. */
    public enum Finish {
        NONE,
        /** Divided by (denominator + 1e-6). */
        RATIO_EPS,
        /** Divided by the denominator, 0 where nothing was summed. */
        RATIO,
        /** Divided by the root mean square over all heads of the token. */
        TOKEN_RMS,
        /** Divided by max(length, 1e-6). */
        UNIT,
        /** Divided by its own root mean square, times a weight. */
        HEAD_NORM
    }

    /** Attention within the open group. */
    public enum Local {
        NONE,
        /** relu(q^ . k^)^2, not normalised. */
        RELU2,
        /** softmax(q . k / sqrt d). */
        SOFTMAX,
        /** (1 - acos(0.98 q^ . k^) / pi)^bits, the sum divided by its length. */
        YOSO
    }

    /** Query heads that share one key/value head. */
    public int share() {
        return heads / kvHeads;
    }

    /** Row length of transposed key buffers: the group rounded up to 16. */
    public int groupStride() {
        return (group + 15) & ~15;
    }

    /** Number of hash cells of one table. */
    public int cells() {
        return 1 << hashBits;
    }

    /** Length of the keys that are scored against queries inside the open group; 0 when none are. */
    public int scoreDim() {
        if (grouped) {
            return local == Local.NONE ? 0 : headDim;
        }
        return switch (past) {
            case NONE -> local == Local.NONE ? 0 : headDim;
            case SUM -> featureDim;
            case TABLES -> hashRounds;
            case CACHE, SLOTS, DECAY, CHANNEL_DECAY, DELTA -> headDim;
        };
    }

    /** Length of the keys that enter the past when the group closes, where they differ from the scored ones; else 0. */
    public int closeDim() {
        if (!grouped || past == Past.NONE) {
            return 0;
        }
        return switch (past) {
            case SUM -> map == FeatureMap.UNIT && local != Local.NONE ? 0 : featureDim;
            case TABLES -> hashRounds;
            default -> headDim;
        };
    }

    /** Length of the cumulative log-decay of a token: d, 1 or 0. */
    public int decayDim() {
        return switch (past) {
            case CHANNEL_DECAY -> headDim;
            case DECAY, DELTA -> 1;
            default -> 0;
        };
    }

    /** Rows of v before the open group that the convolution still reads. */
    public int tail() {
        return taps == 0 ? 0 : taps - 1;
    }

    /** Whether the sum has a denominator. */
    public boolean denominator() {
        return finish == Finish.RATIO || finish == Finish.RATIO_EPS;
    }

    /** Floats of the past of one key/value head. */
    public int pastFloats() {
        return switch (past) {
            case NONE -> 0;
            case CACHE -> 2 * blocks() * BLOCK * headDim;
            case SUM -> featureDim * headDim + (denominator() ? featureDim : 0);
            case TABLES -> hashRounds * cells() * headDim;
            case SLOTS -> 2 * slotCount * headDim;
            case DECAY, CHANNEL_DECAY, DELTA -> headDim * headDim;
        };
    }

    private int blocks() {
        return (capacity + BLOCK - 1) / BLOCK;
    }

    /** Floats of one key/value head: past, scored keys, closing keys, decays, values. */
    public int headFloats() {
        if (past == Past.CACHE) {
            return pastFloats();
        }
        return valueOffset() + (tail() + group) * headDim;
    }

    /** Floats of one slot. */
    public long slotFloats() {
        return (long) kvHeads * headFloats();
    }

    /** Start of a key/value head. */
    public int head(int kvHead) {
        return kvHead * headFloats();
    }

    /** Start of z [F] within a head of SUM; S [F, d] is at 0. */
    public int zOffset() {
        return featureDim * headDim;
    }

    /** Start of the values within a head of CACHE, [capacity, d]; the keys [blocks, d, 64] are at 0. */
    public int cacheValues() {
        return blocks() * BLOCK * headDim;
    }

    /** Start of the value slots [R, d] within a head of SLOTS; the key slots, transposed [d, R], are at 0. */
    public int slotValues() {
        return slotCount * headDim;
    }

    /** Start of the scored keys within a head, transposed [scoreDim, groupStride]. */
    public int scoreOffset() {
        return pastFloats();
    }

    /** Start of the closing keys within a head, transposed [closeDim, groupStride]. */
    public int closeOffset() {
        return scoreOffset() + scoreDim() * groupStride();
    }

    /** Start of the cumulative log-decays within a head, transposed [decayDim, groupStride]. */
    public int decayOffset() {
        return closeOffset() + closeDim() * groupStride();
    }

    /** Start of the values within a head: [tail, d] before the open group, then [G, d] of it. */
    public int valueOffset() {
        return decayOffset() + decayDim() * groupStride();
    }

    /** Floats of one row's record: for each key/value head scored key, closing key, decay, value. */
    public int recordFloats() {
        return kvHeads * headRecord();
    }

    /** Floats of the record of one key/value head. */
    public int headRecord() {
        return recordValue() + headDim;
    }

    /** Start of the closing key within a head's record. */
    public int recordClose() {
        return scoreDim();
    }

    /** Start of the decay within a head's record. */
    public int recordDecay() {
        return recordClose() + closeDim();
    }

    /** Start of the value within a head's record. */
    public int recordValue() {
        return recordDecay() + decayDim();
    }
}
