// The loop of all operations that treat every element alone.
#pragma once
#include "dev.cuh"

struct ElementParams {
    const float* x;
    const float* y;
    const float* z;
    float* out;
    int count;
    int dim;
};

#define FOR_EACH_ELEMENT(i) for (int i = blockIdx.x * 128 + threadIdx.x; i < p.count; i += gridDim.x * 128)
