// Rotary embedding in rotate-half form, docs/maths.md §3.1: one block for each row, the first heads of x [rows, stride] in place;
// angles [rows, dim] holds dim/2 cosines, then dim/2 sines.
#include "dev.cuh"

struct RopeParams {
    float* x;
    const float* angles;
    int stride;
    int heads;
    int dim;
};

KERNEL(rope_any_f32, RopeParams, 128) {
    int half = p.dim / 2;
    float* x = p.x + (size_t)blockIdx.x * p.stride;
    const float* angles = p.angles + (size_t)blockIdx.x * p.dim;
    for (int i = threadIdx.x; i < p.heads * half; i += 128) {
        int c = i % half;
        float* at = x + i / half * p.dim + c;
        float cosine = angles[c];
        float sine = angles[half + c];
        float first = at[0];
        float second = at[half];
        at[0] = fmaf(first, cosine, -(second * sine));
        at[half] = fmaf(second, cosine, first * sine);
    }
}
