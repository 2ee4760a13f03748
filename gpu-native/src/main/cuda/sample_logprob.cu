// What the log-probabilities of a drawn token are made of, docs/maths.md §4.1: the distribution after bias and penalties, before
// temperature and cuts. The host takes the logarithm. One block for each row; rows without a place in logprobs are passed over.
#include "sample.cuh"

/** The most probable tokens one after the other, equal ones by id. */
DEV void top(const Logits& l, int vocab, int k, SampleLogprob* out, SampleMemory* m) {
    double value = INFINITY;
    int id = -1;
    for (int r = 0; r < k; r++) {
        next_best(l, vocab, &value, &id, m);
        if (threadIdx.x == 0) {
            out->top[r] = value;
            out->ids[r] = id;
        }
    }
}

KERNEL(sample_logprob_any_f32, SampleParams, 256) {
    SHARED(shared);
    SampleMemory* m = (SampleMemory*)shared;
    const SampleRow row = p.rows[blockIdx.x];
    int token = p.tokens[blockIdx.x];
    if (row.logprob < 0 || token < 0) {
        return;
    }
    Logits l = logits_of(p, row);
    SampleLogprob* out = p.logprobs + row.logprob;
    double best = -INFINITY;
    int id = 0x7fffffff;
    for (int i = threadIdx.x; i < p.vocab; i += SAMPLE_THREADS) {
        double v = logit(l, i);
        if (v > best) {
            best = v;
            id = i;
        }
    }
    block_best(&best, &id, m->values, m->ids);
    Cut all = {1.0, best, -INFINITY, 0.0, 0, false};
    double sum = weigh(l, p.vocab, all, m);
    if (threadIdx.x == 0) {
        out->best = best;
        out->sum = sum;
        out->drawn = logit(l, token);
    }
    top(l, p.vocab, row.alternatives, out, m);
}
