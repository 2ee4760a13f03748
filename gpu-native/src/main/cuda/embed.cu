// Rows of an embedding or position table, unpacked from the layout of the matrix products: x[i] = table[ids[i]], or += for positions.
// x [rows, k] f32; ids [rows]; table [n, k] packed.
#include "dev.cuh"

struct EmbedParams {
    const void* table;
    const float* scale;
    const int* ids;
    float* x;
    int rows;
    int k;
    int add;
};

enum Format { F32, BF16, INT8 };

template <Format FORMAT>
DEV void embed(const EmbedParams& p) {
    int row = blockIdx.x;
    int id = p.ids[row];
    for (int c = threadIdx.x; c < p.k; c += blockDim.x) {
        float w;
        if (FORMAT == F32) {
            w = ((const float*)p.table)[at_f32(id, c, p.k)];
        } else if (FORMAT == BF16) {
            w = widen_bf16(((const uint16_t*)p.table)[at_tile(id, c, p.k)]);
        } else {
            w = (float)((const int8_t*)p.table)[at_tile(id, c, p.k)] * p.scale[id];
        }
        float* x = p.x + (size_t)row * p.k + c;
        *x = p.add ? *x + w : w;
    }
}

KERNEL(embed_any_f32, EmbedParams, 128) {
    embed<F32>(p);
}

KERNEL(embed_any_bf16, EmbedParams, 128) {
    embed<BF16>(p);
}

KERNEL(embed_any_int8, EmbedParams, 128) {
    embed<INT8>(p);
}
