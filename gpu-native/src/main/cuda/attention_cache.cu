// Softmax attention over a cache, docs/maths.md §2.5: one block for each tile of rows of one segment and query head; PARTS d threads.
// Tokens are taken in blocks of 64 by absolute position with a running maximum, so it does not matter where the cache ends and the
// path begins, nor how many rows a tile has.
#include "attention.cuh"

template <int R>
struct CacheRoom {
    float* query;  // [R, d], scaled
    float* weight; // [R, 64]
    float* parts;  // [PARTS, R, d]
    float* most;   // [R] running maximum
    float* factor; // [R] what older sums are multiplied with
    float* sum;    // [R] running denominator
    int* visible;  // [R]
    int* path;     // [R]
};

template <int R>
DEV CacheRoom<R> cache_room(const AttentionParams& p, unsigned char* shared) {
    CacheRoom<R> m;
    m.query = (float*)shared;
    m.weight = m.query + R * p.dim;
    m.parts = m.weight + R * CACHE_BLOCK;
    m.most = m.parts + PARTS * R * p.dim;
    m.factor = m.most + R;
    m.sum = m.factor + R;
    m.visible = (int*)(m.sum + R);
    m.path = m.visible + R;
    return m;
}

/** Scores of the block's tokens, then their weights; keeps maximum, factor and denominator of each row. */
template <int R>
DEV void weigh_block(const AttentionParams& p, const CacheRoom<R>& m, View v, int count, int from) {
    for (int at = threadIdx.x; at < count * CACHE_BLOCK; at += blockDim.x) {
        int r = at / CACHE_BLOCK;
        int i = from + at % CACHE_BLOCK;
        float s = -INFINITY;
        if (i < m.visible[r]) {
            v.path = m.path[r] < 0 ? nullptr : p.paths + m.path[r];
            int step;
            const float* key = key_of(p, v, i, &step);
            s = 0.f;
            for (int c = 0; c < p.dim; c++) {
                s = fmaf(m.query[r * p.dim + c], key[c * step], s);
            }
        }
        m.weight[at] = s;
    }
    __syncthreads();
    int lane = threadIdx.x & 31;
    for (int r = threadIdx.x >> 5; r < count; r += blockDim.x >> 5) {
        float* w = m.weight + r * CACHE_BLOCK;
        float before = m.most[r];
        float most = fmaxf(before, warp_max(fmaxf(w[lane], w[lane + 32])));
        // A row whose path ends before this block sees none of its tokens: nothing may change for it.
        bool empty = from >= m.visible[r];
        float first = empty ? 0.f : expf(w[lane] - most);
        float second = empty ? 0.f : expf(w[lane + 32] - most);
        float sum = warp_sum(first + second);
        __syncwarp();
        w[lane] = first;
        w[lane + 32] = second;
        if (lane == 0 && !empty) {
            float factor = from == 0 ? 0.f : expf(before - most);
            m.factor[r] = factor;
            m.sum[r] = from == 0 ? sum : fmaf(m.sum[r], factor, sum);
            m.most[r] = most;
        }
    }
    __syncthreads();
}

template <int R>
DEV void attend(const AttentionParams& p, unsigned char* shared) {
    Tile tile = p.tiles[blockIdx.x];
    Segment s = p.segments[tile.segment];
    int count = min(R, s.size - tile.node);
    int row = s.first + tile.node;
    int head = blockIdx.y;
    View v = view_of(p, s, tile.node, head / (p.heads / p.kvHeads));
    CacheRoom<R> m = cache_room<R>(p, shared);
    int d = p.dim;
    int part = threadIdx.x / d;
    int e = threadIdx.x % d;
    if ((int)threadIdx.x < count) {
        m.visible[threadIdx.x] = v.open + p.depth[row + threadIdx.x] + 1;
        m.path[threadIdx.x] = p.pathAt[row + threadIdx.x];
        m.most[threadIdx.x] = -INFINITY;
    }
    float scale = 1.f / sqrtf((float)d);
    for (int i = threadIdx.x; i < count * d; i += blockDim.x) {
        m.query[i] = query_of(p, row + i / d, head)[i % d] * scale;
    }
    __syncthreads();
    int end = 0;
    for (int r = 0; r < count; r++) {
        end = max(end, m.visible[r]);
    }
    float acc[R] = {};
    for (int from = 0; from < end; from += CACHE_BLOCK) {
        weigh_block(p, m, v, count, from);
#pragma unroll
        for (int r = 0; r < R; r++) {
            if (part < PARTS && r < count && from < m.visible[r]) {
                v.path = m.path[r] < 0 ? nullptr : p.paths + m.path[r];
                acc[r] *= from == 0 ? 0.f : m.factor[r];
                int last = min(from + CACHE_BLOCK, m.visible[r]);
                for (int i = from + part; i < last; i += PARTS) {
                    acc[r] = fmaf(m.weight[r * CACHE_BLOCK + i - from], value_of(p, v, i)[e], acc[r]);
                }
            }
        }
        __syncthreads();
    }
    if (part < PARTS) {
#pragma unroll
        for (int r = 0; r < R; r++) {
            m.parts[(part * R + r) * d + e] = acc[r];
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < count * d; i += blockDim.x) {
        const float* at = m.parts + i;
        float sum = ((at[0] + at[R * d]) + at[2 * R * d]) + at[3 * R * d];
        p.out[((size_t)(row + i / d) * p.heads + head) * d + i % d] = sum / m.sum[i / d];
    }
}

// Grid: tiles, H. One row a tile: decoding.
KERNEL(attention_cache_decode_f32, AttentionParams, 1024) {
    SHARED(shared);
    attend<1>(p, shared);
}

// Grid: tiles, H. Eight rows a tile: chunks and drafts.
KERNEL(attention_cache_prefill_f32, AttentionParams, 1024) {
    SHARED(shared);
    attend<8>(p, shared);
}
