// The only header that kernel sources share. Under nvcc it wraps intrinsics and all inline PTX; under g++ -DEMULATOR the same names
// come from the emulator. A feature of the hardware that is not wrapped here cannot be used.
#pragma once
#ifdef EMULATOR
#include "emulator.h"
#else
#include <cuda_bf16.h>
#include <stdint.h>

#define DEV __device__ __forceinline__

// Every kernel takes one struct, so that a launch packs one argument and its size can be checked against the image.
#define KERNEL(name, Params, threads) extern "C" __global__ void __launch_bounds__(threads, 1) name(const __grid_constant__ Params p)

// All shared memory is dynamic: its size is part of the launch, and the emulator fills it with NaN.
#define SHARED(name) extern __shared__ __align__(16) unsigned char name[]

struct bf16x8 {
    uint32_t pair[4];
};

/** The 32 bits of two bfloat16, lo in the low half, each the nearest to its float, ties to even. */
DEV uint32_t pack_bf16(float lo, float hi) {
    __nv_bfloat162 v = __floats2bfloat162_rn(lo, hi);
    return *reinterpret_cast<uint32_t*>(&v);
}

/** C += A B with A [16, 16] and B [16, 8] in bf16 and C [16, 8] in f32, in the register layout of the PTX ISA. */
DEV void mma_bf16(float c[4], const uint32_t a[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/** Sixteen bytes of weights, read once: past the first cache. */
DEV uint4 load_weights(const void* address) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(address));
    return v;
}
#endif

/** The float of a bfloat16 given by its bits. */
DEV float widen_bf16(uint32_t bits) {
    return __uint_as_float(bits << 16);
}

/** Sum over the lanes of a whole warp as a fixed tree; every lane gets it. */
DEV float warp_sum(float v) {
    for (int o = 16; o > 0; o >>= 1) {
        v += __shfl_xor_sync(0xffffffffu, v, o);
    }
    return v;
}

/** Largest value of the lanes of a whole warp. */
DEV float warp_max(float v) {
    for (int o = 16; o > 0; o >>= 1) {
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, o));
    }
    return v;
}

/** Lane-strided sum of n floats by one whole warp: lane l adds elements l, l + 32, ... then the tree. The order depends on n alone. */
DEV float warp_sum_of(const float* x, int n) {
    float s = 0.f;
    for (int i = threadIdx.x & 31; i < n; i += 32) {
        s += x[i];
    }
    return warp_sum(s);
}

/** x / (1 + e^-x). */
DEV float silu(float x) {
    return x / (1.f + expf(-x));
}

/** log(1 + e^x) without overflow. */
DEV float softplus(float x) {
    return fmaxf(x, 0.f) + log1pf(expf(-fabsf(x)));
}

// Where weight (output i, input c) lies. F32: panels of 32 outputs, within a panel input by input. BF16 and INT8: tiles of 16 outputs
// and 16 inputs in the order in which the lanes of mma.m16n8k16 hold operand A, so that a lane's eight weights are one load.
DEV size_t at_f32(int i, int c, int k) {
    return ((size_t)(i >> 5) * k + c) * 32 + (i & 31);
}

DEV size_t at_tile(int i, int c, int k) {
    int tiles = (k + 15) >> 4;
    int r = i & 15;
    int q = c & 15;
    int lane = (r & 7) * 4 + ((q & 7) >> 1);
    int reg = (r >> 3) + 2 * (q >> 3);
    return (((size_t)(i >> 4) * tiles + (c >> 4)) * 32 + lane) * 8 + reg * 2 + (q & 1);
}
