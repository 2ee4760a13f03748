// What the matrix products share: arguments and the last step of a sum.
#pragma once
#include "dev.cuh"

struct MatmulParams {
    const void* w;
    const float* scale;
    const float* bias;
    const float* x;
    float* out;
    int rows;
    int n;
    int k;
    int add;
};

/** Writes one output: scale, bias, residual in this order, as docs/maths.md §1.1 has it. */
DEV void put(const MatmulParams& p, int row, int i, float sum) {
    if (p.scale) {
        sum *= p.scale[i];
    }
    if (p.bias) {
        sum += p.bias[i];
    }
    float* out = p.out + (size_t)row * p.n + i;
    *out = p.add ? *out + sum : sum;
}
