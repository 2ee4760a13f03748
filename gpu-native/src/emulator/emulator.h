// Runs the kernel sources on the CPU. One thread of the operating system runs one block at a time, each CUDA thread is a fiber, and
// what a warp does together (shuffles, mma) is done by the lane that arrives last. The scheduler is in scheduler.cpp. Only what
// dev.cuh wraps exists here. Host code reads launch(), find() and memory functions at the end.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

struct dim3 {
    unsigned x = 1;
    unsigned y = 1;
    unsigned z = 1;
};

struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};

struct alignas(8) uint2 {
    uint32_t x, y;
};

namespace emulator {

struct Warp;
struct Block;

/** State of a CUDA thread: runs, waits for its warp, waits for its block, has ended. */
enum class State { RUNS, AT_WARP, AT_BLOCK, ENDED };

struct Fiber {
    void* stack;
    Block* block;
    Warp* warp;
    dim3 thread;
    int lane;
    State state;
};

/** Lanes that wait for each other in one collective. */
struct Meeting {
    unsigned mask;
    unsigned arrived;
    int operation;
    void* argument[32];
};

struct Warp {
    int first;
    int size;
    Meeting meeting[4];
};

struct Block {
    dim3 index;
    dim3 size;
    dim3 grid;
    unsigned char* shared;
    Fiber* fibers;
    int count;
    int live;
    int waiting;
};

/** What a lane brings to mma.m16n8k16. */
struct Product {
    float* c;
    const uint32_t* a;
    uint32_t b0;
    uint32_t b1;
};

using Collective = void (*)(void** arguments, unsigned mask);

/** The fiber that runs. Never inlined: a fiber may go on after others ran. */
__attribute__((noinline)) Fiber* self();

/** Ends the launch with a message that names kernel, block and thread. */
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

void block_barrier();
void warp_collective(unsigned mask, int operation, void* argument, Collective function);
void mma(void** arguments, unsigned mask);

/** One kernel of the sources; registers itself. */
struct Kernel {
    const char* name;
    void (*call)(const void* params);
    size_t paramBytes;
    unsigned maxThreads;
    Kernel* next;

    Kernel(const char* name, void (*call)(const void*), size_t paramBytes, unsigned maxThreads);
};

Kernel* find(const char* name);

/** All kernels as a list through next. */
Kernel* kernels();

/** Runs a grid; returns nullptr or what went wrong. */
const char* launch(Kernel* kernel, dim3 grid, dim3 block, size_t sharedBytes, const void* params);

/** Memory that begins as NaN and ends at a page that cannot be touched. */
void* allocate(size_t bytes);
void release(void* memory, size_t bytes);

}  // namespace emulator

#ifdef EMULATOR
#define DEV static inline
#define __restrict__
#define KERNEL(name, Params, threads)                                                                                   \
    static void name##_body(const Params& p);                                                                           \
    static emulator::Kernel name##_kernel(                                                                              \
        #name, [](const void* params) { name##_body(*static_cast<const Params*>(params)); }, sizeof(Params), threads);  \
    static void name##_body(const Params& p)
#define SHARED(name) unsigned char* name = emulator::self()->block->shared
#define threadIdx (emulator::self()->thread)
#define blockIdx (emulator::self()->block->index)
#define blockDim (emulator::self()->block->size)
#define gridDim (emulator::self()->block->grid)

static inline void __syncthreads() {
    emulator::block_barrier();
}

static inline void __syncwarp(unsigned mask = ~0u) {
    emulator::warp_collective(mask, 1, nullptr, [](void**, unsigned) {});
}

namespace emulator {

struct Exchange {
    float in;
    float out;
    int from;
};

static inline void exchange(void** arguments, unsigned mask) {
    for (int lane = 0; lane < 32; lane++) {
        if (mask >> lane & 1) {
            auto* own = static_cast<Exchange*>(arguments[lane]);
            bool there = mask >> own->from & 1;
            own->out = there ? static_cast<Exchange*>(arguments[own->from])->in : NAN;
        }
    }
}

}  // namespace emulator

static inline float __shfl_xor_sync(unsigned mask, float value, int lanes) {
    emulator::Exchange exchange{value, 0, emulator::self()->lane ^ lanes};
    emulator::warp_collective(mask, 2, &exchange, emulator::exchange);
    return exchange.out;
}

static inline void mma_bf16(float c[4], const uint32_t a[4], uint32_t b0, uint32_t b1) {
    emulator::Product product{c, a, b0, b1};
    emulator::warp_collective(~0u, 3, &product, emulator::mma);
}

static inline uint4 load_weights(const void* address) {
    if (reinterpret_cast<uintptr_t>(address) & 15) {
        emulator::fail("load_weights: address not aligned to 16 bytes");
    }
    return *static_cast<const uint4*>(address);
}

static inline float __uint_as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline long long __double_as_longlong(double value) {
    long long bits;
    memcpy(&bits, &value, 8);
    return bits;
}

static inline double __longlong_as_double(long long bits) {
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static inline int atomicAdd(int* to, int value) {
    return __atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}

static inline uint32_t round_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static inline uint32_t pack_bf16(float lo, float hi) {
    return round_bf16(lo) | round_bf16(hi) << 16;
}

template <class T>
static inline T max(T a, T b) {
    return a > b ? a : b;
}

template <class T>
static inline T min(T a, T b) {
    return a < b ? a : b;
}
#endif
