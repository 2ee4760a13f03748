// out = x Wᵀ + bias with F32 weights, the form that golden files are checked with: one chain of fused multiply-adds over the inputs in
// ascending order for every output. x [rows, k]; w [n, k] in panels of 32 outputs; out [rows, n].
#include "matmul.cuh"

// Rows that share one load of a weight.
constexpr int TILE = 8;

KERNEL(matmul_any_f32, MatmulParams, 128) {
    int i = blockIdx.x * 128 + threadIdx.x;
    int row = blockIdx.y * TILE;
    int count = min(TILE, p.rows - row);
    if (i >= ((p.n + 31) & ~31)) {
        return;
    }
    const float* w = (const float*)p.w + at_f32(i, 0, p.k);
    const float* x = p.x + (size_t)row * p.k;
    float sum[TILE] = {};
    for (int c = 0; c < p.k; c++) {
        float weight = w[(size_t)c * 32];
#pragma unroll
        for (int r = 0; r < TILE; r++) {
            if (r < count) {
                sum[r] = fmaf(x[(size_t)r * p.k + c], weight, sum[r]);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < TILE; r++) {
        if (r < count && i < p.n) {
            put(p, row + r, i, sum[r]);
        }
    }
}
