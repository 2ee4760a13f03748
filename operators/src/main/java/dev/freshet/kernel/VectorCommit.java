package dev.freshet.kernel;

import static dev.freshet.kernel.VectorFeatures.grown;

import java.util.Objects;

/** Appending accepted tokens and closing full groups in vector arithmetic, docs/maths.md §2.4. One instance for each worker. */
final class VectorCommit {

    private float[] weighted = new float[0];
    private float[] slotRows = new float[0];
    private float[] slotColumns = new float[0];

    /** Commits the accepted rows of one segment to one key/value head. */
    void run(AttentionCall call, Paths paths, int segment, int kvHead) {
        AttentionSpec spec = call.spec();
        float[] state = FloatArray.of(call.slots()[call.segments().slot(segment)]);
        float[] records = FloatArray.of(call.records());
        int base = call.offset() + spec.head(kvHead);
        for (int i = 0; i < paths.size(segment); i++) {
            int position = call.segments().position(segment) + i;
            int record = (paths.row(segment, i) * spec.kvHeads() + kvHead) * spec.headRecord();
            StateWriter.append(spec, state, base, position, records, record);
            if (StateWriter.full(spec, position)) {
                close(call, state, base, position + 1 - spec.group());
                StateWriter.shiftTail(spec, state, base);
            }
        }
    }

    private void close(AttentionCall call, float[] state, int base, int start) {
        AttentionSpec spec = call.spec();
        int d = spec.headDim();
        int stride = spec.groupStride();
        int keys = base + (spec.closeDim() > 0 ? spec.closeOffset() : spec.scoreOffset());
        int values = base + spec.valueOffset() + spec.tail() * d;
        switch (spec.past()) {
            case NONE, CACHE -> {}
            case SUM -> {
                int f = spec.featureDim();
                Dense.gemm(state, keys, stride, state, values, d, state, base, d, f, spec.group(), d, true);
                if (spec.denominator()) {
                    for (int c = 0; c < f; c++) {
                        float z = state[base + spec.zOffset() + c];
                        for (int j = 0; j < spec.group(); j++) {
                            z += state[keys + c * stride + j];
                        }
                        state[base + spec.zOffset() + c] = z;
                    }
                }
            }
            case TABLES -> closeTables(spec, state, base, keys, values);
            case SLOTS -> closeSlots(call, state, base, keys, values, start);
            case DECAY, CHANNEL_DECAY, DELTA -> closeDecayed(spec, state, base, keys, values);
        }
    }

    private static void closeTables(AttentionSpec spec, float[] state, int base, int keys, int values) {
        int d = spec.headDim();
        for (int j = 0; j < spec.group(); j++) {
            for (int r = 0; r < spec.hashRounds(); r++) {
                int code = (int) state[keys + r * spec.groupStride() + j];
                int cell = base + (r * spec.cells() + code) * d;
                VectorMath.addScaled(1f, state, values + j * d, state, cell, d);
            }
        }
    }

    private void closeSlots(AttentionCall call, float[] state, int base, int keys, int values, int start) {
        AttentionSpec spec = call.spec();
        float[] rows = FloatArray.of(Objects.requireNonNull(call.weights().slots()));
        int n = spec.slotCount();
        int group = spec.group();
        int d = spec.headDim();
        slotRows = grown(slotRows, group * n);
        slotColumns = grown(slotColumns, group * n);
        for (int j = 0; j < group; j++) {
            System.arraycopy(rows, (start + j) % spec.slotPositions() * n, slotRows, j * n, n);
            for (int r = 0; r < n; r++) {
                slotColumns[r * group + j] = slotRows[j * n + r];
            }
        }
        Dense.gemm(state, keys, spec.groupStride(), slotRows, 0, n, state, base, n, d, group, n, true);
        Dense.gemm(slotColumns, 0, group, state, values, d, state, base + spec.slotValues(), d, n, group, d, true);
    }

    private void closeDecayed(AttentionSpec spec, float[] state, int base, int keys, int values) {
        int d = spec.headDim();
        int group = spec.group();
        int stride = spec.groupStride();
        weighted = grown(weighted, d * stride);
        for (int f = 0; f < d; f++) {
            int decay = base + spec.decayOffset() + (spec.decayDim() == 1 ? 0 : f) * stride;
            float last = state[decay + group - 1];
            for (int j = 0; j < group; j++) {
                weighted[f * stride + j] = -state[decay + j];
            }
            VectorMath.exp(weighted, f * stride, group, last);
            for (int j = 0; j < group; j++) {
                weighted[f * stride + j] *= state[keys + f * stride + j];
            }
            VectorMath.scale(state, base + f * d, FloatMath.exp(last), state, base + f * d, d);
        }
        Dense.gemm(weighted, 0, stride, state, values, d, state, base, d, d, group, d, true);
    }
}
