package dev.freshet.kernel;

import java.util.Objects;

/** Appending accepted tokens to the state and closing full groups, by the definition; docs/maths.md §2.4. */
final class ReferenceCommit {

    private final AttentionCall call;
    private final AttentionSpec spec;
    private final int d;
    private final int stride;

    private ReferenceCommit(AttentionCall call) {
        this.call = call;
        spec = call.spec();
        d = spec.headDim();
        stride = spec.groupStride();
    }

    static void commit(AttentionCall call, Paths paths) {
        new ReferenceCommit(call).run(paths);
    }

    private void run(Paths paths) {
        Segments segments = call.segments();
        for (int s = 0; s < paths.count(); s++) {
            float[] state = FloatArray.of(call.slots()[segments.slot(s)]);
            for (int g = 0; g < spec.kvHeads(); g++) {
                int base = call.offset() + spec.head(g);
                for (int i = 0; i < paths.size(s); i++) {
                    int position = segments.position(s) + i;
                    int record = (paths.row(s, i) * spec.kvHeads() + g) * spec.headRecord();
                    StateWriter.append(spec, state, base, position, FloatArray.of(call.records()), record);
                    if (StateWriter.full(spec, position)) {
                        close(state, base, position + 1 - spec.group());
                        StateWriter.shiftTail(spec, state, base);
                    }
                }
            }
        }
    }

    /** Moves the G tokens of the open group, the first at absolute position start, into the past. */
    private void close(float[] state, int base, int start) {
        int keys = base + (spec.closeDim() > 0 ? spec.closeOffset() : spec.scoreOffset());
        int values = base + spec.valueOffset() + spec.tail() * d;
        switch (spec.past()) {
            case NONE, CACHE -> {}
            case SUM -> {
                for (int f = 0; f < spec.featureDim(); f++) {
                    for (int e = 0; e < d; e++) {
                        double sum = state[base + f * d + e];
                        for (int j = 0; j < spec.group(); j++) {
                            sum += (double) state[keys + f * stride + j] * state[values + j * d + e];
                        }
                        state[base + f * d + e] = (float) sum;
                    }
                    if (spec.denominator()) {
                        double z = state[base + spec.zOffset() + f];
                        for (int j = 0; j < spec.group(); j++) {
                            z += state[keys + f * stride + j];
                        }
                        state[base + spec.zOffset() + f] = (float) z;
                    }
                }
            }
            case TABLES -> closeTables(state, base, keys, values);
            case SLOTS -> closeSlots(state, base, keys, values, start);
            case DECAY, CHANNEL_DECAY, DELTA -> closeDecayed(state, base, keys, values);
        }
    }

    private void closeTables(float[] state, int base, int keys, int values) {
        for (int j = 0; j < spec.group(); j++) {
            for (int r = 0; r < spec.hashRounds(); r++) {
                int cell = base + (r * spec.cells() + (int) state[keys + r * stride + j]) * d;
                for (int e = 0; e < d; e++) {
                    state[cell + e] += state[values + j * d + e];
                }
            }
        }
    }

    private void closeSlots(float[] state, int base, int keys, int values, int start) {
        float[] rows = FloatArray.of(Objects.requireNonNull(call.weights().slots()));
        int slots = spec.slotCount();
        for (int r = 0; r < slots; r++) {
            for (int c = 0; c < d; c++) {
                double k = state[base + c * slots + r];
                double v = state[base + spec.slotValues() + r * d + c];
                for (int j = 0; j < spec.group(); j++) {
                    double e = rows[(start + j) % spec.slotPositions() * slots + r];
                    k += e * state[keys + c * stride + j];
                    v += e * state[values + j * d + c];
                }
                state[base + c * slots + r] = (float) k;
                state[base + spec.slotValues() + r * d + c] = (float) v;
            }
        }
    }

    private void closeDecayed(float[] state, int base, int keys, int values) {
        int last = spec.group() - 1;
        for (int f = 0; f < d; f++) {
            int decay = base + spec.decayOffset() + (spec.decayDim() == d ? f : 0) * stride;
            for (int e = 0; e < d; e++) {
                double sum = StrictMath.exp(state[decay + last]) * state[base + f * d + e];
                for (int j = 0; j < spec.group(); j++) {
                    double k = state[keys + f * stride + j] * StrictMath.exp(state[decay + last] - state[decay + j]);
                    sum += k * state[values + j * d + e];
                }
                state[base + f * d + e] = (float) sum;
            }
        }
    }
}
