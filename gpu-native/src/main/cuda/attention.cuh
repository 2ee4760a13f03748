// What the attention kernels share: the layer and the step as the host describes them, and where things lie in a slot and a record.
// The rule of order, docs/maths.md §2.1: past, open group oldest to newest, path root to self. A visible token v < open is in the
// open group (or the cache), v >= open is the node at depth v - open of the row's own path.
#pragma once
#include "dev.cuh"

enum Past { PAST_NONE, PAST_CACHE, PAST_SUM, PAST_TABLES, PAST_SLOTS, PAST_DECAY, PAST_CHANNEL_DECAY, PAST_DELTA };

enum FeatureMap { MAP_IDENTITY, MAP_RELU, MAP_ELU, MAP_UNIT, MAP_RANDOM_EXP, MAP_SOFTMAX_PAIR, MAP_HASH };

enum Finish { FINISH_NONE, FINISH_RATIO_EPS, FINISH_RATIO, FINISH_TOKEN_RMS, FINISH_UNIT, FINISH_HEAD_NORM };

enum Local { LOCAL_NONE, LOCAL_RELU2, LOCAL_SOFTMAX, LOCAL_YOSO };

/** The new rows of one sequence. */
struct Segment {
    float* state;
    int position;
    int first;
    int size;
    int accepted;
};

/** Consecutive nodes of one segment that one block serves. */
struct Tile {
    int segment;
    int node;
};

/** One layer and one step; mirrored by AttentionLaunch.java, which writes the fields in this order. */
struct AttentionParams {
    const float* qkv;
    const float* gates;
    float* records;
    float* out;
    float* global;
    float* features;
    float* units;
    const Segment* segments;
    const Tile* tiles;
    const int* rowSegment;
    const int* depth;
    const int* pathAt;
    const int* paths;
    const int* acceptedRows;
    const float* queryMap;
    const float* keyMap;
    const float* slotRows;
    const float* logDecay;
    const float* norm;
    const float* conv;
    int past;
    int map;
    int finish;
    int local;
    int grouped;
    int denominator;
    int taps;
    int tail;
    int heads;
    int kvHeads;
    int dim;
    int featureDim;
    int group;
    int stride;
    int hashRounds;
    int hashBits;
    int slotCount;
    int slotPositions;
    int layerOffset;
    int headFloats;
    int zOffset;
    int scoreOffset;
    int closeOffset;
    int decayOffset;
    int valueOffset;
    int cacheValues;
    int slotValues;
    int scoreDim;
    int closeDim;
    int decayDim;
    int headRecord;
    int recordClose;
    int recordDecay;
    int recordValue;
    int mappedDim;
    int pastRows;
    float alpha;
};

constexpr int CACHE_BLOCK = 64;

// Groups of threads that share a sum: each takes every PARTS-th term, and their sums are added in ascending order.
constexpr int PARTS = 4;

/** One row's view of its sequence for one key/value head. */
struct View {
    const float* head;
    const float* records;
    int open;
    int visible;
    int position;
    const int* path;
};

DEV const float* record_of(const AttentionParams& p, const Segment& s, int node, int kv) {
    return p.records + ((size_t)(s.first + node) * p.kvHeads + kv) * p.headRecord;
}

/** What node of a segment sees. */
DEV View view_of(const AttentionParams& p, const Segment& s, int node, int kv) {
    View v;
    int row = s.first + node;
    v.head = s.state + p.layerOffset + (size_t)kv * p.headFloats;
    v.records = record_of(p, s, 0, kv);
    v.open = p.past == PAST_CACHE ? s.position : s.position % p.group;
    v.visible = v.open + p.depth[row] + 1;
    v.position = s.position - v.open;
    v.path = p.pathAt[row] < 0 ? nullptr : p.paths + p.pathAt[row];
    return v;
}

/** Record of visible token i >= open. In a chain the node at depth j is node j. */
DEV const float* path_record(const AttentionParams& p, const View& v, int i) {
    int node = v.path ? v.path[i - v.open] : i - v.open;
    return v.records + (size_t)node * p.kvHeads * p.headRecord;
}

/** The scored key of visible token i: component c is at key[c * step]. */
DEV const float* key_of(const AttentionParams& p, const View& v, int i, int* step) {
    if (i >= v.open) {
        *step = 1;
        return path_record(p, v, i);
    }
    if (p.past == PAST_CACHE) {
        *step = CACHE_BLOCK;
        return v.head + (size_t)(i / CACHE_BLOCK) * CACHE_BLOCK * p.dim + i % CACHE_BLOCK;
    }
    *step = p.stride;
    return v.head + p.scoreOffset + i;
}

/** The value of visible token i, [dim]; negative i reach the rows kept in front of the open group. */
DEV const float* value_of(const AttentionParams& p, const View& v, int i) {
    if (i >= v.open) {
        return path_record(p, v, i) + p.recordValue;
    }
    if (p.past == PAST_CACHE) {
        return v.head + p.cacheValues + (size_t)i * p.dim;
    }
    return v.head + p.valueOffset + (p.tail + i) * p.dim;
}

/** Cumulative log-decay of visible token i for component c of decayDim. */
DEV float decay_of(const AttentionParams& p, const View& v, int i, int c) {
    return i >= v.open ? path_record(p, v, i)[p.recordDecay + c] : v.head[p.decayOffset + c * p.stride + i];
}

/** Query of a row and head as projected. */
DEV const float* query_of(const AttentionParams& p, int row, int head) {
    return p.qkv + ((size_t)row * (p.heads + 2 * p.kvHeads) + head) * p.dim;
}
