// Division by the root mean square over all heads of a token, docs/maths.md §2 (transnormer): out += alpha / rms · global. Grid: rows;
// 128 threads.
#include "attention.cuh"

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
