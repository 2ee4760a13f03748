// Logits with bias, penalties and forbidden ids, docs/maths.md §4.1, in the steps of the host's Sampler; one block for each row, only
// rows with a place in edited are written. edits holds for each row: biases (id, two halves of a double), tokens seen (id, times in the
// output), the tokens of its path in the draft tree, forbidden ids.
#include "sample.cuh"

constexpr int LONGEST_PATH = 64;

DEV double penalised(const SampleRow& row, double v, int count) {
    if (row.repetition != 1.0) {
        v = v > 0.0 ? v / row.repetition : v * row.repetition;
    }
    if (count > 0) {
        v -= row.frequency * count + row.presence;
    }
    return v;
}

/** Penalties of tokens seen before the step, counting those of the path; then of those that only the path holds. */
DEV void penalise(const SampleRow& row, const int* edits, double* x, int* found) {
    const int* seen = edits + row.seenAt;
    const int* path = edits + row.pathAt;
    for (int j = threadIdx.x; j < row.path; j += SAMPLE_THREADS) {
        found[j] = 0;
    }
    __syncthreads();
    for (int e = threadIdx.x; e < row.seen; e += SAMPLE_THREADS) {
        int id = seen[2 * e];
        int count = seen[2 * e + 1];
        for (int j = 0; j < row.path; j++) {
            if (path[j] == id) {
                count++;
                atomicAdd(&found[j], 1);
            }
        }
        x[id] = penalised(row, x[id], count);
    }
    __syncthreads();
    for (int j = threadIdx.x; j < row.path; j += SAMPLE_THREADS) {
        int count = 0;
        bool first = found[j] == 0;
        for (int i = 0; i < row.path; i++) {
            count += path[i] == path[j] ? 1 : 0;
            first = first && !(i < j && path[i] == path[j]);
        }
        if (first) {
            x[path[j]] = penalised(row, x[path[j]], count);
        }
    }
}

KERNEL(sample_edit_any_f64, SampleParams, 256) {
    SHARED(shared);
    const SampleRow row = p.rows[blockIdx.x];
    if (row.scratch < 0) {
        return;
    }
    const float* in = p.logits + (size_t)row.logitRow * p.vocab;
    double* x = p.edited + (size_t)row.scratch * p.vocab;
    for (int i = threadIdx.x; i < p.vocab; i += SAMPLE_THREADS) {
        x[i] = in[i];
    }
    __syncthreads();
    const int* bias = p.edits + row.biasAt;
    for (int e = threadIdx.x; e < row.biases; e += SAMPLE_THREADS) {
        unsigned long long bits = (unsigned long long)(uint32_t)bias[3 * e + 2] << 32 | (uint32_t)bias[3 * e + 1];
        x[bias[3 * e]] += __longlong_as_double((long long)bits);
    }
    __syncthreads();
    if (row.penalised) {
        penalise(row, p.edits, x, (int*)shared);
        __syncthreads();
    }
    for (int e = threadIdx.x; e < row.forbidden; e += SAMPLE_THREADS) {
        x[p.edits[row.forbiddenAt + e]] = -INFINITY;
    }
}
