// Ids of the k largest logits of a row, largest first, equal ones by id: what Medusa heads guess. One block for each row;
// logits [rows, vocab] f32; ids [rows, k].
#include "sample.cuh"

struct TopParams {
    const float* logits;
    int* ids;
    int vocab;
    int k;
};

KERNEL(sample_top_any_f32, TopParams, 256) {
    SHARED(shared);
    Logits l = {p.logits + (size_t)blockIdx.x * p.vocab, nullptr};
    double value = INFINITY;
    int id = -1;
    for (int r = 0; r < p.k; r++) {
        next_best(l, p.vocab, &value, &id, (SampleMemory*)shared);
        if (threadIdx.x == 0) {
            p.ids[(size_t)blockIdx.x * p.k + r] = id;
        }
    }
}
