// Delta rule, docs/maths.md §2.6: replaces the value in each record by u = β (v - what state and path hold for the key). Nodes of a
// segment come in topological order, so one block takes them one after the other. Grid: segments, KV; PARTS d threads.
#include "attention.cuh"

KERNEL(attention_delta_any_f32, AttentionParams, 1024) {
    SHARED(shared);
    float* key = (float*)shared;
    float* weight = key + p.dim;
    float* sums = weight + p.group;
    int kv = blockIdx.y;
    int d = p.dim;
    int part = threadIdx.x / d;
    int e = threadIdx.x % d;
    Segment s = p.segments[blockIdx.x];
    for (int t = 0; t < s.size; t++) {
        View v = view_of(p, s, t, kv);
        int self = v.visible - 1;
        float* record = const_cast<float*>(record_of(p, s, t, kv));
        float decay = record[p.recordDecay];
        for (int c = threadIdx.x; c < d; c += blockDim.x) {
            key[c] = record[c];
        }
        __syncthreads();
        for (int i = threadIdx.x; i < self; i += blockDim.x) {
            int step;
            const float* other = key_of(p, v, i, &step);
            float score = 0.f;
            for (int c = 0; c < d; c++) {
                score = fmaf(key[c], other[c * step], score);
            }
            weight[i] = score * expf(decay - decay_of(p, v, i, 0));
        }
        __syncthreads();
        if (part < PARTS) {
            float held = 0.f;
            for (int f = part; f < d; f += PARTS) {
                held = fmaf(key[f], v.head[f * d + e], held);
            }
            held *= expf(decay);
            for (int i = part; i < self; i += PARTS) {
                held = fmaf(weight[i], value_of(p, v, i)[e], held);
            }
            sums[threadIdx.x] = held;
        }
        __syncthreads();
        if (part == 0) {
            float held = ((sums[e] + sums[d + e]) + sums[2 * d + e]) + sums[3 * d + e];
            float beta = p.gates[(size_t)(s.first + t) * 2 * p.kvHeads + kv];
            record[p.recordValue + e] = beta * (record[p.recordValue + e] - held);
        }
        __syncthreads();
    }
}
