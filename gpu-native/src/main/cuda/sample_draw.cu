// The token of a row, docs/maths.md §4.1: the largest logit, or temperature, min_p, top_k, top_p and the draw; the ids are those of the
// host's Sampler given the same logits. -1 for logits with a NaN or +inf or nothing but -inf. One block for each row.
#include "sample.cuh"

/** Bits of a double in the order of its value; both zeros alike. */
DEV unsigned long long key_of(double v) {
    unsigned long long bits = (unsigned long long)__double_as_longlong(v == 0.0 ? 0.0 : v);
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

DEV double value_of_key(unsigned long long key) {
    return __longlong_as_double((long long)(key >> 63 ? key & ~(1ull << 63) : ~key));
}

/** The k-th largest of the values that are left and below a bound, digit by digit; also how many of these are larger. */
DEV double kth_largest(const Logits& l, int vocab, const Cut& cut, double below, int k, int* larger, SampleMemory* m) {
    unsigned long long prefix = 0;
    int rank = k;
    for (int shift = 56; shift >= 0; shift -= 8) {
        __syncthreads();
        for (int b = threadIdx.x; b < 256; b += SAMPLE_THREADS) {
            m->bins[b] = 0;
        }
        __syncthreads();
        for (int i = threadIdx.x; i < vocab; i += SAMPLE_THREADS) {
            double value = logit(l, i) / cut.temperature;
            if (value < below && kept(cut, value) != OUT) {
                unsigned long long key = key_of(value);
                if (shift == 56 || key >> (shift + 8) == prefix >> (shift + 8)) {
                    atomicAdd(&m->bins[key >> shift & 255], 1);
                }
            }
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            int bin = 255;
            for (int left = rank; m->bins[bin] < left && bin > 0; bin--) {
                left -= m->bins[bin];
                rank = left;
            }
            m->cells[1] = bin;
            m->cells[2] = rank;
        }
        __syncthreads();
        prefix |= (unsigned long long)m->cells[1] << shift;
        rank = m->cells[2];
    }
    *larger = k - rank;
    return value_of_key(prefix);
}

/** Sorts the first n of list, largest first; n is a power of two. */
DEV void sort_descending(double* list, int n) {
    for (int size = 2; size <= n; size <<= 1) {
        for (int stride = size / 2; stride > 0; stride >>= 1) {
            __syncthreads();
            for (int i = threadIdx.x; i < n; i += SAMPLE_THREADS) {
                int other = i ^ stride;
                if (other > i && ((i & size) == 0 ? list[i] < list[other] : list[i] > list[other])) {
                    double v = list[i];
                    list[i] = list[other];
                    list[other] = v;
                }
            }
        }
    }
    __syncthreads();
}

/** Puts what is left, below one bound and above another, into list, sorted, with its weights; returns how many equal the lower bound. */
DEV int gather(const Logits& l, int vocab, const Cut& cut, double below, double above, int n, SampleMemory* m) {
    int padded = 1;
    while (padded < n) {
        padded <<= 1;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        m->cells[1] = 0;
    }
    for (int j = n + threadIdx.x; j < padded; j += SAMPLE_THREADS) {
        m->list[j] = -INFINITY;
    }
    __syncthreads();
    int equal = 0;
    for (int i = threadIdx.x; i < vocab; i += SAMPLE_THREADS) {
        double value = logit(l, i) / cut.temperature;
        if (value < below && kept(cut, value) != OUT) {
            if (value > above) {
                m->list[atomicAdd(&m->cells[1], 1)] = value;
            }
            equal += value == above ? 1 : 0;
        }
    }
    equal = block_sum(equal, &m->cells[0]);
    if (n > 0) {
        sort_descending(m->list, padded);
    }
    for (int j = threadIdx.x; j < n; j += SAMPLE_THREADS) {
        m->weights[j] = exp_of_gap(m->list[j] - cut.peak);
    }
    __syncthreads();
    return cut.ended && above == cut.end ? cut.ties : equal;
}

/** How far top_p has come; lives in the registers of one thread and is told to the others. */
struct Mass {
    double before;
    int taken;
    int ties;
    double end;
};

/** Takes tokens of a sorted list, then equal ones behind it, until the mass before the next reaches a bound; whether it did. */
DEV bool take(Mass* mass, double bound, int n, int equal, double last, double weight, const SampleMemory* m) {
    for (int j = 0; j < n; j++) {
        mass->before += m->weights[j];
        mass->taken++;
        mass->ties = j > 0 && m->list[j] == mass->end ? mass->ties + 1 : 1;
        mass->end = m->list[j];
        if (mass->before >= bound) {
            return true;
        }
    }
    for (int j = 0; j < equal; j++) {
        mass->before += weight;
        mass->taken++;
        mass->ties = j + 1;
        mass->end = last;
        if (mass->before >= bound) {
            return true;
        }
    }
    return false;
}

/** Keeps the tokens before which, largest first, less mass lies than a bound: some of them sorted at a time, most often once. */
DEV void keep_mass(const Logits& l, int vocab, Cut* cut, int n, double bound, SampleMemory* m) {
    Mass mass = {0.0, 0, 0, 0.0};
    double below = INFINITY;
    int done = 0;
    while (done < n) {
        int larger;
        double last = kth_largest(l, vocab, *cut, below, min(SAMPLE_CHUNK, n - done), &larger, m);
        int equal = gather(l, vocab, *cut, below, last, larger, m);
        if (threadIdx.x == 0) {
            bool reached = take(&mass, bound, larger, equal, last, exp_of_gap(last - cut->peak), m);
            m->cells[1] = reached;
            m->cells[2] = mass.ties;
            m->result[1] = mass.end;
        }
        __syncthreads();
        if (m->cells[1]) {
            cut->ended = true;
            cut->end = m->result[1];
            cut->ties = m->cells[2];
            break;
        }
        done += larger + equal;
        below = last;
    }
    __syncthreads();
}

/** The first token whose running sum exceeds a bound; the bound lies below the sum of all. */
DEV int search(const Logits& l, int vocab, const Cut& cut, double bound, SampleMemory* m) {
    const ChunkStart* starts = starts_of(m);
    int chunks = (vocab + SAMPLE_CHUNK - 1) / SAMPLE_CHUNK;
    int chunk = 0;
    while (chunk + 1 < chunks && starts[chunk + 1].sum <= bound) {
        chunk++;
    }
    int from = chunk * SAMPLE_CHUNK;
    int n = min(SAMPLE_CHUNK, vocab - from);
    fill_weights(l, cut, from, n, m);
    int place = 0;
    if (threadIdx.x == 0) {
        double sum = starts[chunk].sum;
        int ties = starts[chunk].ties;
        place = add_weights(n, bound, &sum, &ties, m);
    }
    return from + place;
}

/** Whether all logits are below +inf and none is NaN; best and id become the largest processed one, id -1 where all are -inf. */
DEV bool largest(const Logits& l, int vocab, double* best, int* id, SampleMemory* m) {
    bool sound = true;
    double value = -INFINITY;
    int at = 0x7fffffff;
    for (int i = threadIdx.x; i < vocab; i += SAMPLE_THREADS) {
        sound = sound && l.plain[i] < INFINITY;
        double v = logit(l, i);
        if (v > value) {
            value = v;
            at = i;
        }
    }
    sound = block_sum(sound ? 0 : 1, &m->cells[0]) == 0;
    block_best(&value, &at, m->values, m->ids);
    *best = value;
    *id = at == 0x7fffffff || value == INFINITY ? -1 : at;
    return sound;
}

/** Thread 0 returns the token. */
DEV int draw(const SampleRow& row, const Logits& l, int vocab, SampleMemory* m) {
    double best;
    int id;
    if (!largest(l, vocab, &best, &id, m) || id < 0) {
        return -1;
    }
    // A temperature so small that the quotient overflows is greedy, as is 0.
    if (row.temperature == 0.0 || fabs(best / row.temperature) == INFINITY) {
        return id;
    }
    Cut cut = {row.temperature, best / row.temperature, row.floor, 0.0, 0, false};
    int n = 0;
    for (int i = threadIdx.x; i < vocab; i += SAMPLE_THREADS) {
        n += kept(cut, logit(l, i) / cut.temperature) == OUT ? 0 : 1;
    }
    n = block_sum(n, &m->cells[0]);
    if (row.topK > 0 && row.topK < n) {
        int larger;
        cut.end = kth_largest(l, vocab, cut, INFINITY, row.topK, &larger, m);
        cut.ties = row.topK - larger;
        cut.ended = true;
        n = row.topK;
    }
    if (row.topP < 1.0) {
        double bound = row.topP * weigh(l, vocab, cut, m);
        keep_mass(l, vocab, &cut, n, bound, m);
    }
    double sum = weigh(l, vocab, cut, m);
    double target = uniform_of(row.seed, row.position) * sum;
    // Where rounding took the target up to the sum, the first token that reaches it, so that one without weight is never drawn.
    double highest = __longlong_as_double(__double_as_longlong(sum) - 1);
    return search(l, vocab, cut, target < highest ? target : highest, m);
}

KERNEL(sample_draw_any_f32, SampleParams, 256) {
    SHARED(shared);
    const SampleRow row = p.rows[blockIdx.x];
    int token = draw(row, logits_of(p, row), p.vocab, (SampleMemory*)shared);
    if (threadIdx.x == 0) {
        p.tokens[blockIdx.x] = token;
    }
}
