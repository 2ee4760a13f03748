// SwiGLU: out[r, c] = silu(x[r, c]) x[r, dim + c]; x [rows, 2 dim], out [rows, dim], count = rows dim.
#include "elementwise.cuh"

KERNEL(silu_mul_any_f32, ElementParams, 128) {
    FOR_EACH_ELEMENT(i) {
        const float* row = p.x + (size_t)(i / p.dim) * 2 * p.dim;
        int c = i % p.dim;
        p.out[i] = silu(row[c]) * row[p.dim + c];
    }
}
