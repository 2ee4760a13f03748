// out = x Wᵀ + bias with BF16 or INT8 weights on tensor cores. x [rows, k] f32, rounded to bf16 where it is read; w [n, k] in tiles;
// out [rows, n] f32.
//
// The sum of an output is cut into parts of 256 inputs. Within a part it is one chain of mma.m16n8k16 over ascending inputs, and the
// parts are added in ascending order. The weights are operand A, the rows of x are columns of B, which cannot touch each other: so a
// single token, a draft and a chunk get the same bits, and one token still feeds eight warps.
#include "matmul.cuh"

// Inputs of one part, in tiles of 16.
constexpr int PART = 16;

/** A lane's share of a tile of weights as bf16 pairs. An int8 is exact in bf16. */
template <bool INT8>
DEV void load_tile(const void* w, size_t tile, int lane, uint32_t a[4]) {
    if (INT8) {
        uint2 v = ((const uint2*)w)[tile * 32 + lane];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t word = i < 2 ? v.x : v.y;
            int shift = (i & 1) * 16;
            a[i] = pack_bf16((float)(int8_t)(word >> shift), (float)(int8_t)(word >> (shift + 8)));
        }
    } else {
        uint4 v = load_weights((const uint4*)w + tile * 32 + lane);
        a[0] = v.x;
        a[1] = v.y;
        a[2] = v.z;
        a[3] = v.w;
    }
}

/** Two neighbouring inputs of a row as a bf16 pair; 0 beyond the row or its end. */
DEV uint32_t load_pair(const MatmulParams& p, int row, int c) {
    if (row >= p.rows) {
        return 0;
    }
    const float* x = p.x + (size_t)row * p.k + c;
    return pack_bf16(c < p.k ? x[0] : 0.f, c + 1 < p.k ? x[1] : 0.f);
}

// A block owns 16 outputs for up to 8 COLUMNS rows; its warps take parts in turn and leave their sums in shared memory.
template <bool INT8, int COLUMNS>
DEV void few_rows(const MatmulParams& p) {
    SHARED(shared);
    float* sums = (float*)shared;
    int lane = threadIdx.x & 31;
    int warp = threadIdx.x >> 5;
    int tiles = (p.k + 15) >> 4;
    int parts = (tiles + PART - 1) / PART;
    size_t first = (size_t)blockIdx.x * tiles;
    int row0 = blockIdx.y * 8 * COLUMNS;
    for (int part = warp; part < parts; part += 8) {
        float acc[COLUMNS][4] = {};
        int end = min(tiles, (part + 1) * PART);
#pragma unroll 4
        for (int t = part * PART; t < end; t++) {
            uint32_t a[4];
            load_tile<INT8>(p.w, first + t, lane, a);
            int c = t * 16 + 2 * (lane & 3);
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) {
                int row = row0 + j * 8 + (lane >> 2);
                mma_bf16(acc[j], a, load_pair(p, row, c), load_pair(p, row, c + 8));
            }
        }
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                // Output (e >> 1) * 8 + lane / 4 of row 2 (lane mod 4) + (e & 1).
                int output = (e >> 1) * 8 + (lane >> 2);
                int row = j * 8 + 2 * (lane & 3) + (e & 1);
                sums[(part * COLUMNS * 8 + row) * 16 + output] = acc[j][e];
            }
        }
    }
    __syncthreads();
    for (int at = threadIdx.x; at < COLUMNS * 128; at += blockDim.x) {
        int row = at >> 4;
        int i = blockIdx.x * 16 + (at & 15);
        if (row0 + row < p.rows && i < p.n) {
            float sum = sums[at];
            for (int part = 1; part < parts; part++) {
                sum += sums[part * COLUMNS * 128 + at];
            }
            put(p, row0 + row, i, sum);
        }
    }
}

// Tiles of 16 inputs that are staged at once, and rows of a block.
constexpr int STAGE = 4;
constexpr int WIDE = 64;

/** Copies the inputs of 64 rows for four tiles to shared memory, as the lanes hold operand B. */
DEV void stage_rows(const MatmulParams& p, uint32_t* to, int row0, int tile) {
    for (int i = threadIdx.x; i < WIDE * STAGE * 8; i += 128) {
        int pair = i & (STAGE * 8 - 1);
        int row = i / (STAGE * 8);
        int within = pair & 7;
        int slot = ((row >> 3) * STAGE + (pair >> 3)) * 64 + ((row & 7) * 4 + (within & 3)) * 2 + (within >> 2);
        to[slot] = load_pair(p, row0 + row, tile * 16 + 2 * pair);
    }
}

// A block owns 64 outputs and 64 rows; a warp owns 16 outputs and adds part after part itself.
template <bool INT8>
DEV void many_rows(const MatmulParams& p) {
    SHARED(shared);
    uint32_t* staged = (uint32_t*)shared;
    int lane = threadIdx.x & 31;
    int strip = blockIdx.x * 4 + (threadIdx.x >> 5);
    int tiles = (p.k + 15) >> 4;
    int row0 = blockIdx.y * WIDE;
    bool mine = strip * 16 < p.n;
    float total[8][4];
    float acc[8][4] = {};
    for (int t0 = 0; t0 < tiles; t0 += STAGE) {
        uint32_t* stage = staged + (t0 / STAGE & 1) * WIDE * STAGE * 8;
        stage_rows(p, stage, row0, t0);
        __syncthreads();
        for (int t = t0; mine && t < min(tiles, t0 + STAGE); t++) {
            uint32_t a[4];
            load_tile<INT8>(p.w, (size_t)strip * tiles + t, lane, a);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                uint2 b = *(const uint2*)(stage + (j * STAGE + t - t0) * 64 + lane * 2);
                mma_bf16(acc[j], a, b.x, b.y);
            }
        }
        if ((t0 + STAGE) % PART == 0 || t0 + STAGE >= tiles) {
#pragma unroll
            for (int j = 0; j < 8; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    total[j][e] = t0 < PART ? acc[j][e] : total[j][e] + acc[j][e];
                    acc[j][e] = 0.f;
                }
            }
        }
    }
#pragma unroll
    for (int j = 0; j < 8; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
            int i = strip * 16 + (e >> 1) * 8 + (lane >> 2);
            int row = row0 + j * 8 + 2 * (lane & 3) + (e & 1);
            if (mine && row < p.rows && i < p.n) {
                put(p, row, i, total[j][e]);
            }
        }
    }
}

KERNEL(matmul_decode_bf16, MatmulParams, 256) {
    few_rows<false, 1>(p);
}

KERNEL(matmul_verify_bf16, MatmulParams, 256) {
    few_rows<false, 4>(p);
}

KERNEL(matmul_prefill_bf16, MatmulParams, 128) {
    many_rows<false>(p);
}

KERNEL(matmul_decode_int8, MatmulParams, 256) {
    few_rows<true, 1>(p);
}

KERNEL(matmul_verify_int8, MatmulParams, 256) {
    few_rows<true, 4>(p);
}

KERNEL(matmul_prefill_int8, MatmulParams, 128) {
    many_rows<true>(p);
}
