// Copies rows: out[i] = x[index[i]], rows of dim floats; one block for each row.
#include "dev.cuh"

struct GatherParams {
    const float* x;
    const int* index;
    float* out;
    int dim;
};

KERNEL(gather_any_f32, GatherParams, 128) {
    const float* from = p.x + (size_t)p.index[blockIdx.x] * p.dim;
    float* to = p.out + (size_t)blockIdx.x * p.dim;
    for (int c = threadIdx.x; c < p.dim; c += 128) {
        to[c] = from[c];
    }
}
