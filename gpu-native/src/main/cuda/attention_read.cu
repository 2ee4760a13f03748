// Second pass of attention for every kind but the cache, docs/maths.md §2.1, §2.3, §2.6, §2.7: one block for each tile of rows of one
// segment and query head; PARTS d threads. Sums over the past and over visible tokens are cut into PARTS interleaved chains by
// feature and by place in the group, so the number of rows in a tile, or in the step, changes no order.
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
    __syncthreads();
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

// Division by the root mean square over all heads of a token, docs/maths.md §2 (transnormer): out += alpha / rms · global. Grid: rows;
// 128 threads.
KERNEL(attention_token_norm_any_f32, AttentionParams, 128) {
    SHARED(shared);
    float* parts = (float*)shared;
    int width = p.heads * p.dim;
    const float* global = p.global + (size_t)blockIdx.x * width;
    float* out = p.out + (size_t)blockIdx.x * width;
    float s = 0.f;
    for (int e = threadIdx.x; e < width; e += 128) {
        s = fmaf(global[e], global[e], s);
    }
    s = warp_sum(s);
    if ((threadIdx.x & 31) == 0) {
        parts[threadIdx.x >> 5] = s;
    }
    __syncthreads();
    float squares = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    float scale = p.alpha / sqrtf(squares / width + 1e-6f);
    for (int e = threadIdx.x; e < width; e += 128) {
        out[e] = fmaf(scale, global[e], out[e]);
    }
}
