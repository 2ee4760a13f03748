// Commit of accepted rows, docs/maths.md §2.4, the only writer of the state: append their records to the open group, or to the cache,
// then close a group that became full. Rows of a segment lie in one group, so at most one group closes, behind the last of them.
#include "attention.cuh"

/** Start of the accepted rows of a segment in acceptedRows: they lie at its first row. */
DEV const int* accepted_of(const AttentionParams& p, const Segment& s) {
    return p.acceptedRows + s.first;
}

// Grid: segments, KV.
KERNEL(attention_append_commit_f32, AttentionParams, 128) {
    Segment s = p.segments[blockIdx.x];
    int kv = blockIdx.y;
    float* head = s.state + p.layerOffset + (size_t)kv * p.headFloats;
    for (int i = 0; i < s.accepted; i++) {
        const float* record = p.records + ((size_t)accepted_of(p, s)[i] * p.kvHeads + kv) * p.headRecord;
        int position = s.position + i;
        for (int c = threadIdx.x; c < p.headRecord; c += 128) {
            size_t to;
            if (p.past == PAST_CACHE) {
                size_t block = (size_t)(position / CACHE_BLOCK) * CACHE_BLOCK * p.dim + position % CACHE_BLOCK;
                to = c < p.recordValue ? block + (size_t)c * CACHE_BLOCK
                                       : p.cacheValues + (size_t)position * p.dim + c - p.recordValue;
            } else {
                int at = position % p.group;
                if (c < p.recordClose) {
                    to = p.scoreOffset + c * p.stride + at;
                } else if (c < p.recordDecay) {
                    to = p.closeOffset + (c - p.recordClose) * p.stride + at;
                } else if (c < p.recordValue) {
                    to = p.decayOffset + (c - p.recordDecay) * p.stride + at;
                } else {
                    to = p.valueOffset + (p.tail + at) * p.dim + c - p.recordValue;
                }
            }
            head[to] = record[c];
        }
    }
}

/** S_fe = g S_fe + sum_j k_fj v_je in token order, features [from, to); g = 1 without decay. */
DEV void close_sum(const AttentionParams& p, float* head, const float* keys, const float* values, int from, int to) {
    int d = p.dim;
    for (int i = from * d + threadIdx.x; i < to * d; i += 128) {
        int f = i / d;
        int e = i % d;
        const float* key = keys + f * p.stride;
        float sum = head[i];
        if (p.decayDim == 0) {
            for (int j = 0; j < p.group; j++) {
                sum = fmaf(key[j], values[j * d + e], sum);
            }
        } else {
            const float* decay = head + p.decayOffset + (p.decayDim == 1 ? 0 : f) * p.stride;
            float last = decay[p.group - 1];
            sum *= expf(last);
            for (int j = 0; j < p.group; j++) {
                sum = fmaf(key[j] * expf(last - decay[j]), values[j * d + e], sum);
            }
        }
        head[i] = sum;
    }
    for (int f = from + threadIdx.x; p.denominator && f < to; f += 128) {
        float z = head[p.zOffset + f];
        for (int j = 0; j < p.group; j++) {
            z += keys[f * p.stride + j];
        }
        head[p.zOffset + f] = z;
    }
}

/** T_r[code_r(k_j)] += v_j, tables [from, to). */
DEV void close_tables(const AttentionParams& p, float* head, const float* keys, const float* values, int from, int to) {
    for (int e = threadIdx.x; e < p.dim; e += 128) {
        for (int r = from; r < to; r++) {
            for (int j = 0; j < p.group; j++) {
                size_t cell = ((size_t)r << p.hashBits) + (int)keys[r * p.stride + j];
                head[cell * p.dim + e] += values[j * p.dim + e];
            }
        }
    }
}

/** K̃_rc += sum_j e_jr k_jc and Ṽ_rc += sum_j e_jr v_jc, channels [from, to); start is the position of token 0. */
DEV void close_slots(
    const AttentionParams& p, float* head, const float* keys, const float* values, int start, int from, int to) {
    int slots = p.slotCount;
    for (int i = from * slots + threadIdx.x; i < to * slots; i += 128) {
        int c = i / slots;
        int r = i % slots;
        float k = head[i];
        float v = head[p.slotValues + r * p.dim + c];
        for (int j = 0; j < p.group; j++) {
            float e = p.slotRows[(start + j) % p.slotPositions * slots + r];
            k = fmaf(e, keys[c * p.stride + j], k);
            v = fmaf(e, values[j * p.dim + c], v);
        }
        head[i] = k;
        head[p.slotValues + r * p.dim + c] = v;
    }
}

// Grid: segments, KV, slices of the past's rows (features, tables or channels).
KERNEL(attention_close_commit_f32, AttentionParams, 128) {
    Segment s = p.segments[blockIdx.x];
    int end = s.position + s.accepted;
    if (s.accepted == 0 || end % p.group != 0) {
        return;
    }
    float* head = s.state + p.layerOffset + (size_t)blockIdx.y * p.headFloats;
    const float* keys = head + (p.closeDim > 0 ? p.closeOffset : p.scoreOffset);
    const float* values = head + p.valueOffset + p.tail * p.dim;
    int rows = p.past == PAST_SLOTS ? p.dim : p.pastRows;
    int slices = gridDim.z;
    int slice = (rows + slices - 1) / slices;
    int from = blockIdx.z * slice;
    int to = min(rows, from + slice);
    if (p.past == PAST_TABLES) {
        close_tables(p, head, keys, values, from, to);
    } else if (p.past == PAST_SLOTS) {
        close_slots(p, head, keys, values, end - p.group, from, to);
    } else {
        close_sum(p, head, keys, values, from, to);
    }
}

// Keeps the last tail values of a closed group in front of the new one, oldest first, so that an overlap does no harm. Grid: segments,
// KV.
KERNEL(attention_tail_commit_f32, AttentionParams, 128) {
    Segment s = p.segments[blockIdx.x];
    if (s.accepted == 0 || (s.position + s.accepted) % p.group != 0) {
        return;
    }
    float* values = s.state + p.layerOffset + (size_t)blockIdx.y * p.headFloats + p.valueOffset;
    for (int e = threadIdx.x; e < p.dim; e += 128) {
        for (int i = 0; i < p.tail; i++) {
            values[i * p.dim + e] = values[(p.group + i) * p.dim + e];
        }
    }
}
