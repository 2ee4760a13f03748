// First pass of attention, one block for each row and head vector: mapped and unit queries go to scratch, keys and values to the
// row's record. Feature maps: docs/maths.md §2.2. features [rows, H, mappedDim]; units [rows, H, d]; records [rows, KV, headRecord].
#include "attention.cuh"

constexpr int THREADS = 128;

/** Shared memory of a block: the vector [d], products [2 F or planes], four numbers. */
struct Room {
    float* x;
    float* y;
    float* numbers;
};

/** numbers[0] = sum of x² of the staged vector, for all threads. */
DEV float squares(const AttentionParams& p, const Room& room) {
    if (threadIdx.x < 32) {
        float s = 0.f;
        for (int c = threadIdx.x; c < p.dim; c += 32) {
            s = fmaf(room.x[c], room.x[c], s);
        }
        s = warp_sum(s);
        if (threadIdx.x == 0) {
            room.numbers[0] = s;
        }
    }
    __syncthreads();
    float s = room.numbers[0];
    __syncthreads();
    return s;
}

DEV void unit(const AttentionParams& p, const Room& room, float* out) {
    float length = fmaxf(sqrtf(squares(p, room)), 1e-6f);
    for (int c = threadIdx.x; c < p.dim; c += THREADS) {
        out[c] = room.x[c] / length;
    }
}

/** sum_c map[c, i] x_c, one chain; map [d, width]. */
DEV float project(const AttentionParams& p, const Room& room, const float* map, int width, int i) {
    float s = 0.f;
    for (int c = 0; c < p.dim; c++) {
        s = fmaf(map[(size_t)c * width + i], room.x[c], s);
    }
    return s;
}

DEV void random_exp(const AttentionParams& p, const Room& room, float* out) {
    // x' = x d^-1/4, so |x'|² = |x|² d^-1/2.
    float root = sqrtf(sqrtf((float)p.dim));
    float half = squares(p, room) / (root * root) * 0.5f;
    float scale = 1.f / sqrtf((float)p.featureDim);
    for (int f = threadIdx.x; f < p.featureDim; f += THREADS) {
        out[f] = expf(project(p, room, p.queryMap, p.featureDim, f) / root - half) * scale;
    }
}

/** [softmax(W x), softmax(-W x)]; warp 0 makes the first, warp 1 the second. */
DEV void softmax_pair(const AttentionParams& p, const Room& room, const float* map, float* out) {
    int half = p.featureDim / 2;
    for (int f = threadIdx.x; f < half; f += THREADS) {
        room.y[f] = project(p, room, map, half, f);
    }
    __syncthreads();
    int warp = threadIdx.x >> 5;
    int lane = threadIdx.x & 31;
    if (warp < 2) {
        float sign = warp == 0 ? 1.f : -1.f;
        float most = -INFINITY;
        for (int f = lane; f < half; f += 32) {
            most = fmaxf(most, sign * room.y[f]);
        }
        most = warp_max(most);
        float sum = 0.f;
        for (int f = lane; f < half; f += 32) {
            sum += expf(sign * room.y[f] - most);
        }
        sum = warp_sum(sum);
        for (int f = lane; f < half; f += 32) {
            out[warp * half + f] = expf(sign * room.y[f] - most) / sum;
        }
    }
}

/** code_r = sum_b 2^b [plane_rb · x > 0], as floats; planes [d, rounds bits]. */
DEV void codes(const AttentionParams& p, const Room& room, const float* planes, float* out) {
    int count = p.hashRounds * p.hashBits;
    for (int i = threadIdx.x; i < count; i += THREADS) {
        room.y[i] = project(p, room, planes, count, i) > 0.f ? 1.f : 0.f;
    }
    __syncthreads();
    for (int r = threadIdx.x; r < p.hashRounds; r += THREADS) {
        int code = 0;
        for (int b = 0; b < p.hashBits; b++) {
            code |= room.y[r * p.hashBits + b] > 0.f ? 1 << b : 0;
        }
        out[r] = (float)code;
    }
}

/** φ of the staged vector; head counts query heads for queries, key/value heads for keys. */
DEV void map_vector(const AttentionParams& p, const Room& room, bool query, int head, float* out) {
    switch (p.map) {
        case MAP_UNIT:
            unit(p, room, out);
            return;
        case MAP_RANDOM_EXP:
            random_exp(p, room, out);
            return;
        case MAP_SOFTMAX_PAIR:
            softmax_pair(p, room, (query ? p.queryMap : p.keyMap) + (size_t)head * p.dim * (p.featureDim / 2), out);
            return;
        case MAP_HASH: {
            int kv = query ? head / (p.heads / p.kvHeads) : head;
            codes(p, room, p.queryMap + (size_t)kv * p.dim * p.hashRounds * p.hashBits, out);
            return;
        }
        default:
            for (int c = threadIdx.x; c < p.dim; c += THREADS) {
                float x = room.x[c];
                if (p.map == MAP_RELU) {
                    x = fmaxf(x, 0.f);
                } else if (p.map == MAP_ELU) {
                    x = x > 0.f ? x + 1.f : expf(x);
                }
                out[c] = x;
            }
    }
}

DEV void stage(const AttentionParams& p, const Room& room, const float* x) {
    for (int c = threadIdx.x; c < p.dim; c += THREADS) {
        room.x[c] = x[c];
    }
    __syncthreads();
}

DEV void write_query(const AttentionParams& p, const Room& room, int row, int head) {
    stage(p, room, query_of(p, row, head));
    if (p.mappedDim > 0) {
        map_vector(p, room, true, head, p.features + ((size_t)row * p.heads + head) * p.mappedDim);
        __syncthreads();
    }
    if (p.local == LOCAL_RELU2 || p.local == LOCAL_YOSO) {
        unit(p, room, p.units + ((size_t)row * p.heads + head) * p.dim);
    }
}

DEV void write_record(const AttentionParams& p, const Room& room, int row, int kv) {
    stage(p, room, query_of(p, row, p.heads + kv));
    float* record = p.records + ((size_t)row * p.kvHeads + kv) * p.headRecord;
    bool units = (p.grouped && (p.local == LOCAL_RELU2 || p.local == LOCAL_YOSO)) || p.past == PAST_DELTA;
    if (units) {
        unit(p, room, record);
    } else if (!p.grouped && (p.past == PAST_SUM || p.past == PAST_TABLES)) {
        map_vector(p, room, false, kv, record);
    } else if (p.scoreDim > 0) {
        for (int c = threadIdx.x; c < p.dim; c += THREADS) {
            record[c] = room.x[c];
        }
    }
    __syncthreads();
    if (p.closeDim > 0) {
        map_vector(p, room, false, kv, record + p.recordClose);
    }
    const float* value = query_of(p, row, p.heads + p.kvHeads + kv);
    for (int c = threadIdx.x; c < p.dim; c += THREADS) {
        record[p.recordValue + c] = value[c];
    }
}

// Grid: rows, H + KV.
KERNEL(attention_map_any_f32, AttentionParams, THREADS) {
    SHARED(shared);
    Room room;
    room.x = (float*)shared;
    room.y = room.x + p.dim;
    room.numbers = room.y + max(p.featureDim / 2, p.hashRounds * p.hashBits);
    int head = blockIdx.y;
    if (head < p.heads) {
        write_query(p, room, blockIdx.x, head);
    } else {
        write_record(p, room, blockIdx.x, head - p.heads);
    }
}

/** log a of one row, docs/maths.md §2.6. */
DEV float log_decay(const AttentionParams& p, int row, int kv, int c) {
    if (p.past == PAST_DECAY) {
        return p.logDecay[kv];
    }
    return p.past == PAST_DELTA ? p.gates[(size_t)row * 2 * p.kvHeads + p.kvHeads + kv]
                                : p.gates[((size_t)row * p.kvHeads + kv) * p.dim + c];
}

// Cumulative log-decays of the records: each thread walks the path of its row from the root, so that rows need not wait for each
// other. Grid: rows, KV.
KERNEL(attention_decay_any_f32, AttentionParams, THREADS) {
    int row = blockIdx.x;
    int kv = blockIdx.y;
    Segment s = p.segments[p.rowSegment[row]];
    View v = view_of(p, s, row - s.first, kv);
    float* record = p.records + ((size_t)row * p.kvHeads + kv) * p.headRecord;
    for (int c = threadIdx.x; c < p.decayDim; c += THREADS) {
        float sum = v.open > 0 ? v.head[p.decayOffset + c * p.stride + v.open - 1] : 0.f;
        for (int i = v.open; i < v.visible; i++) {
            int node = v.path ? v.path[i - v.open] : i - v.open;
            sum += log_decay(p, s.first + node, kv, c);
        }
        record[p.recordDecay + c] = sum;
    }
}
