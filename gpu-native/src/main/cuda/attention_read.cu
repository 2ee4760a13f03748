// Second pass of attention for every kind but the cache, docs/maths.md §2.1, §2.3, §2.6, §2.7: one block for each tile of rows of one
// segment and query head; PARTS d threads. Sums over the past and over visible tokens are cut into PARTS interleaved chains by
// feature and by place in the group, so the number of rows in a tile, or in the step, changes no order.
#include "attention_scores.cuh"

/** acc[r] += this part's share of the past for channel e. */
template <int R>
DEV void add_past(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows, int part, int e, float acc[R]) {
    if (p.past == PAST_NONE) {
        return;
    }
    if (p.past == PAST_TABLES) {
        float share = 1.f / p.hashRounds;
#pragma unroll
        for (int r = 0; r < R; r++) {
            for (int c = part; r < rows.count && c < p.hashRounds; c += PARTS) {
                size_t cell = ((size_t)c << p.hashBits) + (int)m.past[r * p.pastRows + c];
                acc[r] = fmaf(share, rows.shared.head[cell * p.dim + e], acc[r]);
            }
        }
        return;
    }
    const float* past = rows.shared.head + (p.past == PAST_SLOTS ? p.slotValues : 0) + e;
#pragma unroll 4
    for (int f = part; f < p.pastRows; f += PARTS) {
        float s = past[(size_t)f * p.dim];
#pragma unroll
        for (int r = 0; r < R; r++) {
            if (r < rows.count) {
                acc[r] = fmaf(m.past[r * p.pastRows + f], s, acc[r]);
            }
        }
    }
}

/** acc[r] += this part's share of the weighted values of visible tokens for channel e. */
template <int R>
DEV void add_visible(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows, int part, int e, float acc[R]) {
    int open = rows.shared.open;
    for (int i = part; i < open; i += PARTS) {
        float value = value_of(p, rows.shared, i)[e];
#pragma unroll
        for (int r = 0; r < R; r++) {
            if (r < rows.count) {
                acc[r] = fmaf(m.weight[r * p.group + i], value, acc[r]);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < R; r++) {
        if (r < rows.count) {
            int from = open + ((part - open) & (PARTS - 1));
            for (int i = from; i < m.visible[r]; i += PARTS) {
                acc[r] = fmaf(m.weight[r * p.group + i], value_of(p, view_at(p, m, rows, r), i)[e], acc[r]);
            }
        }
    }
}

/** acc[r] += this part's share of the causal convolution over the values, oldest tap first. */
template <int R>
DEV void add_convolution(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows, int part, int e, float acc[R]) {
    const float* taps = p.conv + rows.head * p.taps;
#pragma unroll
    for (int r = 0; r < R; r++) {
        int self = r < rows.count ? m.visible[r] - 1 : 0;
        for (int tap = part; r < rows.count && tap < p.taps; tap += PARTS) {
            acc[r] = fmaf(taps[tap], value_of(p, view_at(p, m, rows, r), self - p.tail + tap)[e], acc[r]);
        }
    }
}

/** The kind's own finish of the past's output, in row[r, e]. */
template <int R>
DEV void finish(const AttentionParams& p, const ReadRoom<R>& m, const Rows& rows) {
    if (p.finish == FINISH_UNIT || p.finish == FINISH_HEAD_NORM) {
        row_squares(p, m, rows.count, 2);
    }
    for (int i = threadIdx.x; i < rows.count * p.dim; i += blockDim.x) {
        int r = i / p.dim;
        float x = m.row[i];
        switch (p.finish) {
            case FINISH_RATIO_EPS:
                x = x / (m.number[r] + 1e-6f);
                break;
            case FINISH_RATIO:
                x = m.number[r] == 0.f ? 0.f : x / m.number[r];
                break;
            case FINISH_UNIT:
                x = x / fmaxf(sqrtf(m.number[2 * R + r]), 1e-6f);
                break;
            case FINISH_HEAD_NORM:
                x = x / sqrtf(m.number[2 * R + r] / p.dim + 1e-6f) * p.norm[i % p.dim];
                break;
            default:
                break;
        }
        m.row[i] = x;
    }
    __syncthreads();
}

/** Where channel e of a row's output lies. */
DEV size_t out_at(const AttentionParams& p, int row, int head) {
    return ((size_t)row * p.heads + head) * p.dim;
}

template <int R>
DEV void read(const AttentionParams& p, unsigned char* shared) {
    Tile tile = p.tiles[blockIdx.x];
    Segment s = p.segments[tile.segment];
    Rows rows;
    rows.count = min(R, s.size - tile.node);
    rows.row = s.first + tile.node;
    rows.head = blockIdx.y;
    int kv = rows.head / (p.heads / p.kvHeads);
    rows.shared = view_of(p, s, tile.node, kv);
    ReadRoom<R> m = read_room<R>(p, shared);
    if ((int)threadIdx.x < rows.count) {
        m.visible[threadIdx.x] = rows.shared.open + p.depth[rows.row + threadIdx.x] + 1;
        m.path[threadIdx.x] = p.pathAt[rows.row + threadIdx.x];
    }
    __syncthreads();
    int part = threadIdx.x / p.dim;
    int e = threadIdx.x % p.dim;
    stage_queries(p, m, rows);
    if (p.scoreDim > 0) {
        score_visible(p, m, rows);
    }
    if (p.past == PAST_SLOTS) {
        slot_weights(p, m, rows);
    }
    if (p.denominator) {
        denominators(p, m, rows);
    }
    float acc[R] = {};
    if (part < PARTS) {
        add_past(p, m, rows, part, e, acc);
        if (!p.grouped && p.scoreDim > 0) {
            add_visible(p, m, rows, part, e, acc);
        }
    }
    add_parts(p, m, acc, rows.count);
    finish(p, m, rows);
    // The past's output goes out first; what is near is added to it below in the order of docs/maths.md §2.7.
    float* global = p.finish == FINISH_TOKEN_RMS ? p.global : p.out;
    for (int i = threadIdx.x; i < rows.count * p.dim; i += blockDim.x) {
        global[out_at(p, rows.row + i / p.dim, rows.head) + i % p.dim] = m.row[i];
    }
    float near[R] = {};
    if (p.local != LOCAL_NONE) {
        local_weights(p, m, rows);
        if (part < PARTS) {
            add_visible(p, m, rows, part, e, near);
        }
        add_parts(p, m, near, rows.count);
        if (p.local == LOCAL_YOSO) {
            row_squares(p, m, rows.count, 3);
        }
    }
    float taps[R] = {};
    for (int i = threadIdx.x; i < rows.count * p.dim; i += blockDim.x) {
        int r = i / p.dim;
        float x = p.local == LOCAL_NONE ? 0.f : m.row[i];
        if (p.local == LOCAL_SOFTMAX) {
            x *= m.number[R + r];
        } else if (p.local == LOCAL_YOSO) {
            x = x / fmaxf(sqrtf(m.number[3 * R + r]), 1e-6f);
        }
        size_t at = out_at(p, rows.row + r, rows.head) + i % p.dim;
        p.out[at] = p.finish == FINISH_TOKEN_RMS ? x : fmaf(p.alpha, p.out[at], x);
    }
    if (p.taps > 0) {
        if (part < PARTS) {
            add_convolution(p, m, rows, part, e, taps);
        }
        add_parts(p, m, taps, rows.count);
        for (int i = threadIdx.x; i < rows.count * p.dim; i += blockDim.x) {
            p.out[out_at(p, rows.row + i / p.dim, rows.head) + i % p.dim] += m.row[i];
        }
    }
}

// Grid: tiles, H. One row a tile: decoding.
KERNEL(attention_read_decode_f32, AttentionParams, 1024) {
    SHARED(shared);
    read<1>(p, shared);
}

// Grid: tiles, H. Eight rows a tile: chunks and drafts.
KERNEL(attention_read_prefill_f32, AttentionParams, 1024) {
    SHARED(shared);
    read<8>(p, shared);
}
