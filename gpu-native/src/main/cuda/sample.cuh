// What drawing tokens shares, docs/maths.md §4: rows as the host describes them, processed logits, and exponentials and random numbers
// with the very bits of the host's Sampler. Everything is in double precision; a token may hang on the last bit of a sum, so sums that the
// sampler takes one by one are taken one by one here too. One block of 256 threads for each row.
#pragma once
#include "dev.cuh"

constexpr int SAMPLE_THREADS = 256;
constexpr int SAMPLE_TOP = 20;

/** One row to be drawn from. Places of lists count 4-byte elements of edits; scratch is -1 for a row whose logits stay as they are. */
struct SampleRow {
    double temperature;
    double floor;
    double topP;
    double repetition;
    double frequency;
    double presence;
    long long seed;
    long long position;
    int logitRow;
    int topK;
    int alternatives;
    int logprob;
    int scratch;
    int biasAt;
    int biases;
    int seenAt;
    int seen;
    int pathAt;
    int path;
    int forbiddenAt;
    int forbidden;
    int penalised;
};

/** What log-probabilities are made of: logit of the best token, sum of e^(logit - best), logit of the drawn token, and the top. */
struct SampleLogprob {
    double best;
    double sum;
    double drawn;
    double top[SAMPLE_TOP];
    int ids[SAMPLE_TOP];
};

/** Mirrored by CudaSampling.java. logits [.., vocab] f32; rows [grid]; edited [scratch, vocab]; tokens [grid]; logprobs [..]. */
struct SampleParams {
    const float* logits;
    const SampleRow* rows;
    const int* edits;
    double* edited;
    int* tokens;
    SampleLogprob* logprobs;
    int vocab;
};

/** The processed logits of one row. */
struct Logits {
    const float* plain;
    const double* edited;
};

DEV Logits logits_of(const SampleParams& p, const SampleRow& row) {
    Logits l;
    l.plain = p.logits + (size_t)row.logitRow * p.vocab;
    l.edited = row.scratch < 0 ? nullptr : p.edited + (size_t)row.scratch * p.vocab;
    return l;
}

DEV double logit(const Logits& l, int i) {
    return l.edited ? l.edited[i] : (double)l.plain[i];
}

/**
 * e^x for x <= 0, minus infinity included, in the steps of fdlibm's e_exp.c (Sun Microsystems, 1993; freely distributable), whose results
 * are those of Java's StrictMath: x = k ln 2 + r, a rational form for e^r, k put into the exponent.
 */
DEV double exp_of_gap(double x) {
    if (x < -0x1.74910d52d3051p9) {
        return 0.0;
    }
    if (x > -0x1p-28) {
        return 1.0 + x;
    }
    int high = (int)(__double_as_longlong(x) >> 32) & 0x7fffffff;
    double hi = 0.0;
    double lo = 0.0;
    int k = 0;
    if (high > 0x3fd62e42) {
        if (high < 0x3ff0a2b2) {
            hi = x + 0x1.62e42feep-1;
            lo = -0x1.a39ef35793c76p-33;
            k = -1;
        } else {
            k = (int)(0x1.71547652b82fep0 * x - 0.5);
            double t = k;
            hi = x - t * 0x1.62e42feep-1;
            lo = t * 0x1.a39ef35793c76p-33;
        }
        x = hi - lo;
    }
    double t = x * x;
    double c = -0x1.bbd41c5d26bf1p-20 + t * 0x1.6376972bea4d0p-25;
    c = 0x1.1566aaf25de2cp-14 + t * c;
    c = -0x1.6c16c16bebd93p-9 + t * c;
    c = x - t * (0x1.555555555553ep-3 + t * c);
    if (k == 0) {
        return 1.0 - ((x * c) / (c - 2.0) - x);
    }
    double y = 1.0 - ((lo - (x * c) / (2.0 - c)) - hi);
    bool tiny = k < -1021;
    long long scale = (long long)(tiny ? k + 1000 : k) * (1ll << 52);
    y = __longlong_as_double(__double_as_longlong(y) + scale);
    return tiny ? y * 0x1p-1000 : y;
}

/** Uniform variate of a position in [0, 1): Philox4x32-10 with key seed and counter position, as CounterRng.uniform. */
DEV double uniform_of(long long seed, long long position) {
    uint32_t c[4] = {(uint32_t)position, (uint32_t)((unsigned long long)position >> 32), 0, 0};
    uint32_t k0 = (uint32_t)seed;
    uint32_t k1 = (uint32_t)((unsigned long long)seed >> 32);
    for (int round = 0; round < 10; round++) {
        unsigned long long p = (unsigned long long)0xd2511f53u * c[0];
        unsigned long long r = (unsigned long long)0xcd9e8d57u * c[2];
        c[0] = (uint32_t)(r >> 32) ^ c[1] ^ k0;
        c[1] = (uint32_t)r;
        c[2] = (uint32_t)(p >> 32) ^ c[3] ^ k1;
        c[3] = (uint32_t)p;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    unsigned long long bits = (unsigned long long)c[1] << 32 | c[0];
    return (double)(bits >> 11) * 0x1p-53;
}

/** Sum of one int of every thread; cell is an int of shared memory. */
DEV int block_sum(int v, int* cell) {
    __syncthreads();
    if (threadIdx.x == 0) {
        *cell = 0;
    }
    __syncthreads();
    if (v != 0) {
        atomicAdd(cell, v);
    }
    __syncthreads();
    return *cell;
}

/** Largest value of all threads, equal ones by the lower id; every thread gets both. values and ids hold one element a thread. */
DEV void block_best(double* value, int* id, double* values, int* ids) {
    int t = threadIdx.x;
    __syncthreads();
    values[t] = *value;
    ids[t] = *id;
    for (int half = SAMPLE_THREADS / 2; half > 0; half >>= 1) {
        __syncthreads();
        if (t < half && (values[t + half] > values[t] || (values[t + half] == values[t] && ids[t + half] < ids[t]))) {
            values[t] = values[t + half];
            ids[t] = ids[t + half];
        }
    }
    __syncthreads();
    *value = values[0];
    *id = ids[0];
}

/** Which tokens are left: value at least floor below the peak, and above end or, among equal ones, one of the first ties by id. */
struct Cut {
    double temperature;
    double peak;
    double floor;
    double end;
    int ties;
    bool ended;
};

enum Kept { OUT, TIE, IN };

DEV Kept kept(const Cut& cut, double value) {
    double gap = value - cut.peak;
    if (!(gap >= cut.floor && gap > -INFINITY)) {
        return OUT;
    }
    if (!cut.ended || value > cut.end) {
        return IN;
    }
    return value == cut.end ? TIE : OUT;
}

constexpr int SAMPLE_CHUNK = 1024;
constexpr int SAMPLE_RUNS = SAMPLE_CHUNK / 32;

/** Shared memory of the kernels that sum. */
struct SampleMemory {
    double list[SAMPLE_CHUNK];
    double weights[SAMPLE_CHUNK];
    double values[SAMPLE_THREADS];
    double result[4];
    int ids[SAMPLE_THREADS];
    int bins[256];
    int some[SAMPLE_RUNS];
    int cells[4];
};

/** Running sum and ties left at the start of each chunk of ids; behind SampleMemory. */
struct ChunkStart {
    double sum;
    int ties;
};

DEV ChunkStart* starts_of(SampleMemory* m) {
    return (ChunkStart*)(m + 1);
}

/** Weights of the ids from..from + n in list: 0 for tokens that are out, negative for those that are equal to the end. */
DEV void fill_weights(const Logits& l, const Cut& cut, int from, int n, SampleMemory* m) {
    __syncthreads();
    for (int g = threadIdx.x; g < SAMPLE_RUNS; g += SAMPLE_THREADS) {
        m->some[g] = 0;
    }
    __syncthreads();
    for (int j = threadIdx.x; j < n; j += SAMPLE_THREADS) {
        double value = logit(l, from + j) / cut.temperature;
        Kept state = kept(cut, value);
        double weight = state == OUT ? 0.0 : exp_of_gap(value - cut.peak);
        m->list[j] = state == TIE ? -weight : weight;
        if (weight > 0.0) {
            atomicAdd(&m->some[j / 32], 1);
        }
    }
    __syncthreads();
}

/**
 * Adds the weights in list one by one to a sum, for one thread; stops at the first place at which the sum exceeds a bound, and returns it, or n.
 * Runs of zeros, which change no sum, are passed over.
 */
DEV int add_weights(int n, double bound, double* sum, int* ties, const SampleMemory* m) {
    for (int j = 0; j < n; j++) {
        if (j % 32 == 0 && m->some[j / 32] == 0) {
            j += 31;
            continue;
        }
        double weight = m->list[j];
        if (weight < 0.0) {
            weight = (*ties)-- > 0 ? -weight : 0.0;
        }
        *sum += weight;
        if (*sum > bound) {
            return j;
        }
    }
    return n;
}

/** Sum of all weights in order of id; leaves the start of every chunk. */
DEV double weigh(const Logits& l, int vocab, const Cut& cut, SampleMemory* m) {
    double sum = 0.0;
    int ties = cut.ties;
    for (int from = 0; from < vocab; from += SAMPLE_CHUNK) {
        int n = min(SAMPLE_CHUNK, vocab - from);
        fill_weights(l, cut, from, n, m);
        if (threadIdx.x == 0) {
            ChunkStart* start = starts_of(m) + from / SAMPLE_CHUNK;
            start->sum = sum;
            start->ties = ties;
            add_weights(n, INFINITY, &sum, &ties, m);
            m->result[0] = sum;
        }
    }
    __syncthreads();
    sum = m->result[0];
    __syncthreads();
    return sum;
}

/** The largest logit behind another in descending order, equal ones by id, NaN as -inf; every thread passes that one and gets the next. */
DEV void next_best(const Logits& l, int vocab, double* value, int* id, SampleMemory* m) {
    double best = -INFINITY;
    int at = 0x7fffffff;
    for (int i = threadIdx.x; i < vocab; i += SAMPLE_THREADS) {
        double v = logit(l, i);
        v = v == v ? v : -INFINITY;
        bool left = v < *value || (v == *value && i > *id);
        if (left && (v > best || (v == best && i < at))) {
            best = v;
            at = i;
        }
    }
    block_best(&best, &at, m->values, m->ids);
    *value = best;
    *id = at;
}
