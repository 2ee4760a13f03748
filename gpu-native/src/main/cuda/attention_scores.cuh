// What a block of attention_read.cu knows before it sums: its shared memory and rows, the factors of the past, the scores and weights of
// visible tokens, denominators. docs/maths.md §2.1, §2.3, §2.7.
#pragma once
#include "attention.cuh"

/** Shared memory of a block with R rows. */
template <int R>
struct ReadRoom {
    float* past;   // [R, pastRows] factors of the rows of the past; codes for tables
    float* query;  // [R, width of a scored key]
    float* weight; // [R, group] factors of the values of visible tokens
    float* parts;  // [PARTS, R, d]
    float* row;    // [R, d]
    float* number; // [4, R] denominators and scales
    int* visible;  // [R] number of visible tokens
    int* path;     // [R] start of the row's path, -1 in a chain
};

template <int R>
DEV ReadRoom<R> read_room(const AttentionParams& p, unsigned char* shared) {
    ReadRoom<R> m;
    m.past = (float*)shared;
    m.query = m.past + R * p.pastRows;
    m.weight = m.query + R * max(p.scoreDim, 1);
    m.parts = m.weight + R * p.group;
    m.row = m.parts + PARTS * R * p.dim;
    m.number = m.row + R * p.dim;
    m.visible = (int*)(m.number + 4 * R);
    m.path = m.visible + R;
    return m;
}

/** One block's rows: the first, their number, and what they share. */
struct Rows {
    View shared;
    int count;
    int row;
    int head;
};

/** What row r sees. Rows of a tile differ in two numbers only, which wait in shared memory. */
template <int R>
DEV View view_at(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows, int r) {
    View v = rows.shared;
    v.visible = m.visible[r];
    v.path = m.path[r] < 0 ? nullptr : p.paths + m.path[r];
    return v;
}

/** Sum over the parts of acc, added in ascending order; the sum of row r and channel e ends in row[r, e]. */
template <int R>
DEV void add_parts(const AttentionParams& p, const ReadRoom<R>& m, const float acc[R], int count) {
    int d = p.dim;
    int part = threadIdx.x / d;
    int e = threadIdx.x % d;
    if (part < PARTS) {
#pragma unroll
        for (int r = 0; r < R; r++) {
            m.parts[(part * R + r) * d + e] = acc[r];
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < count * d; i += blockDim.x) {
        const float* at = m.parts + i;
        int step = R * d;
        m.row[i] = ((at[0] + at[step]) + at[2 * step]) + at[3 * step];
    }
    __syncthreads();
}

/** Squares of row[r, 0 .. d) summed by one warp for each row, into number[slot, r]. */
template <int R>
DEV void row_squares(const AttentionParams& p, const ReadRoom<R>& m, int count, int slot) {
    int lane = threadIdx.x & 31;
    for (int r = threadIdx.x >> 5; r < count; r += blockDim.x >> 5) {
        float s = 0.f;
        for (int e = lane; e < p.dim; e += 32) {
            s = fmaf(m.row[r * p.dim + e], m.row[r * p.dim + e], s);
        }
        s = warp_sum(s);
        if (lane == 0) {
            m.number[slot * R + r] = s;
        }
    }
    __syncthreads();
}

/** Stages the queries: factors of the past, where they are known at once, and what keys are scored with. */
template <int R>
DEV void stage_queries(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows) {
    for (int r = 0; r < rows.count; r++) {
        size_t at = (size_t)(rows.row + r) * p.heads + rows.head;
        const float* raw = query_of(p, rows.row + r, rows.head);
        const float* mapped = p.features + at * p.mappedDim;
        bool decayed = p.past >= PAST_DECAY;
        float scale = decayed ? 1.f / sqrtf((float)p.dim) : 1.f;
        int self = m.visible[r] - 1;
        for (int c = threadIdx.x; c < p.mappedDim; c += blockDim.x) {
            float q = mapped[c] * scale;
            if (decayed) {
                float g = decay_of(p, view_at(p, m, rows, r), self, p.decayDim == 1 ? 0 : c);
                m.past[r * p.pastRows + c] = q * expf(g);
            } else {
                m.past[r * p.pastRows + c] = q;
            }
            if (!p.grouped) {
                m.query[r * p.scoreDim + c] = q;
            }
        }
        if (p.scoreDim > 0 && (p.grouped || p.past == PAST_SLOTS || p.past == PAST_NONE)) {
            const float* q = p.local == LOCAL_RELU2 || p.local == LOCAL_YOSO ? p.units + at * p.dim : raw;
            for (int c = threadIdx.x; c < p.dim; c += blockDim.x) {
                m.query[r * p.scoreDim + c] = q[c];
            }
        }
    }
    __syncthreads();
}

/** Score of a row's query with visible token i. */
template <int R>
DEV float score(const AttentionParams& p, const ReadRoom<R>& m, const View& v, int r, int i) {
    int step;
    const float* key = key_of(p, v, i, &step);
    const float* q = m.query + r * p.scoreDim;
    if (!p.grouped && p.past == PAST_TABLES) {
        int hits = 0;
        for (int c = 0; c < p.hashRounds; c++) {
            hits += key[c * step] == q[c] ? 1 : 0;
        }
        return (float)hits / p.hashRounds;
    }
    float s = 0.f;
    if (!p.grouped && p.past == PAST_CHANNEL_DECAY) {
        for (int c = 0; c < p.dim; c++) {
            float g = expf(decay_of(p, v, v.visible - 1, c) - decay_of(p, v, i, c));
            s = fmaf(q[c] * key[c * step], g, s);
        }
        return s;
    }
    for (int c = 0; c < p.scoreDim; c++) {
        s = fmaf(q[c], key[c * step], s);
    }
    if (!p.grouped && p.past >= PAST_DECAY) {
        s *= expf(decay_of(p, v, v.visible - 1, 0) - decay_of(p, v, i, 0));
    }
    return s;
}

/** Scores of all visible tokens into weight[r, i]. */
template <int R>
DEV void score_visible(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows) {
    for (int at = threadIdx.x; at < rows.count * p.group; at += blockDim.x) {
        int r = at / p.group;
        int i = at % p.group;
        if (i < m.visible[r]) {
            m.weight[at] = score(p, m, view_at(p, m, rows, r), r, i);
        }
    }
    __syncthreads();
}

/** Local attention: scores become weights; number[1, r] = 1 / sum for the softmax. */
template <int R>
DEV void local_weights(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows) {
    int lane = threadIdx.x & 31;
    for (int r = threadIdx.x >> 5; r < rows.count; r += blockDim.x >> 5) {
        float* w = m.weight + r * p.group;
        int n = m.visible[r];
        float most = -INFINITY;
        for (int i = lane; i < n; i += 32) {
            most = fmaxf(most, w[i]);
        }
        most = warp_max(most);
        float sum = 0.f;
        for (int i = lane; i < n; i += 32) {
            float s = w[i];
            if (p.local == LOCAL_RELU2) {
                s = fmaxf(s, 0.f);
                s = s * s;
            } else if (p.local == LOCAL_SOFTMAX) {
                s = expf((s - most) / sqrtf((float)p.dim));
            } else {
                float base = 1.f - acosf(0.98f * fminf(1.f, fmaxf(-1.f, s))) * 0.31830988618379067f;
                s = 1.f;
                for (int b = 0; b < p.hashBits; b++) {
                    s *= base;
                }
            }
            w[i] = s;
            sum += s;
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            m.number[R + r] = p.local == LOCAL_SOFTMAX ? 1.f / sum : 1.f;
        }
    }
    __syncthreads();
}

/** SLOTS: past[r, :] = softmax over the memory slots, then weight[r, i] = past · row of token i's position. */
template <int R>
DEV void slot_weights(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows) {
    int slots = p.slotCount;
    float scale = 1.f / sqrtf((float)p.dim);
    for (int at = threadIdx.x; at < rows.count * slots; at += blockDim.x) {
        int r = at / slots;
        int s = at % slots;
        View v = view_at(p, m, rows, r);
        const float* q = p.scoreDim > 0 && !p.grouped ? m.query + r * p.scoreDim : query_of(p, rows.row + r, rows.head);
        float sum = 0.f;
        for (int c = 0; c < p.dim; c++) {
            sum = fmaf(q[c], v.head[c * slots + s], sum);
        }
        for (int i = 0; !p.grouped && i < v.visible; i++) {
            sum = fmaf(m.weight[r * p.group + i], p.slotRows[(v.position + i) % p.slotPositions * slots + s], sum);
        }
        m.past[r * p.pastRows + s] = sum * scale;
    }
    __syncthreads();
    int lane = threadIdx.x & 31;
    for (int r = threadIdx.x >> 5; r < rows.count; r += blockDim.x >> 5) {
        float* w = m.past + r * p.pastRows;
        float most = -INFINITY;
        for (int s = lane; s < slots; s += 32) {
            most = fmaxf(most, w[s]);
        }
        most = warp_max(most);
        float sum = 0.f;
        for (int s = lane; s < slots; s += 32) {
            w[s] = expf(w[s] - most);
            sum += w[s];
        }
        sum = warp_sum(sum);
        for (int s = lane; s < slots; s += 32) {
            w[s] /= sum;
        }
    }
    __syncthreads();
    for (int at = threadIdx.x; !p.grouped && at < rows.count * p.group; at += blockDim.x) {
        int r = at / p.group;
        int i = at % p.group;
        if (i < m.visible[r]) {
            const float* e = p.slotRows + (rows.shared.position + i) % p.slotPositions * slots;
            float sum = 0.f;
            for (int s = 0; s < slots; s++) {
                sum = fmaf(m.past[r * p.pastRows + s], e[s], sum);
            }
            m.weight[at] = sum;
        }
    }
    __syncthreads();
}

/** SUM: number[0, r] = φ(q)·z plus the weights of the included tokens, lane by place in the group. */
template <int R>
DEV void denominators(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows) {
    int lane = threadIdx.x & 31;
    for (int r = threadIdx.x >> 5; r < rows.count; r += blockDim.x >> 5) {
        const float* z = rows.shared.head + p.zOffset;
        float sum = 0.f;
        for (int f = lane; f < p.featureDim; f += 32) {
            sum = fmaf(m.past[r * p.pastRows + f], z[f], sum);
        }
        for (int i = lane; !p.grouped && i < m.visible[r]; i += 32) {
            sum += m.weight[r * p.group + i];
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            m.number[r] = sum;
        }
    }
    __syncthreads();
}
