// RMSNorm and LayerNorm, docs/maths.md §1.2. One block of 128 threads for each row; x and out [rows, dim] f32, may be the same.
#include "dev.cuh"

struct NormParams {
    const float* x;
    const float* weight;
    const float* bias;
    float* out;
    int dim;
    float eps;
};

/** Sum over the 128 threads of a block, the same for all of them; parts holds 4 floats. */
DEV float block_sum(float v, float* parts) {
    v = warp_sum(v);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) {
        parts[threadIdx.x >> 5] = v;
    }
    __syncthreads();
    return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

KERNEL(rms_norm_any_f32, NormParams, 128) {
    SHARED(shared);
    const float* x = p.x + (size_t)blockIdx.x * p.dim;
    float* out = p.out + (size_t)blockIdx.x * p.dim;
    float squares = 0.f;
    for (int c = threadIdx.x; c < p.dim; c += 128) {
        squares = fmaf(x[c], x[c], squares);
    }
    float scale = 1.f / sqrtf(block_sum(squares, (float*)shared) / p.dim + p.eps);
    for (int c = threadIdx.x; c < p.dim; c += 128) {
        out[c] = x[c] * scale * p.weight[c];
    }
}

KERNEL(layer_norm_any_f32, NormParams, 128) {
    SHARED(shared);
    const float* x = p.x + (size_t)blockIdx.x * p.dim;
    float* out = p.out + (size_t)blockIdx.x * p.dim;
    float sum = 0.f;
    for (int c = threadIdx.x; c < p.dim; c += 128) {
        sum += x[c];
    }
    float mean = block_sum(sum, (float*)shared) / p.dim;
    float squares = 0.f;
    for (int c = threadIdx.x; c < p.dim; c += 128) {
        squares = fmaf(x[c] - mean, x[c] - mean, squares);
    }
    float scale = 1.f / sqrtf(block_sum(squares, (float*)shared) / p.dim + p.eps);
    for (int c = threadIdx.x; c < p.dim; c += 128) {
        out[c] = (x[c] - mean) * scale * p.weight[c] + p.bias[c];
    }
}
