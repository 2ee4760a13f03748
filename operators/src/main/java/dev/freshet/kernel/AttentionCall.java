package dev.freshet.kernel;

import org.jspecify.annotations.Nullable;

/**
 * The operands of one attention layer in one step. Confined to the engine thread.
 *
 * @param spec the layer
 * @param weights its parameters
 * @param segments the rows
 * @param slots in and, by commit, out: [slots] state of all sequences
 * @param offset start of the layer within a slot, floats
 * @param qkv in, [rows, (H + 2 KV) d] projected and rotated queries, keys, values
 * @param gates in, CHANNEL_DECAY [rows, KV d] log-decays; DELTA [rows, 2 KV] betas, then log-decays; else null
 * @param records overwritten by attend, read by commit, [rows, recordFloats]
 * @param out overwritten by attend, [rows, H d]
 */
public record AttentionCall(
        AttentionSpec spec,
        AttentionWeights weights,
        Segments segments,
        Buffer[] slots,
        int offset,
        Buffer qkv,
        @Nullable Buffer gates,
        Buffer records,
        Buffer out) {}
