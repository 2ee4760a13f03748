package dev.freshet.cuda;

import dev.freshet.kernel.AttentionCall;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.AttentionSpec.Past;
import dev.freshet.kernel.AttentionWeights;
import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.Segments;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Attention and commit as launches: sizes, scratch memory and the parameter struct. Confined to the engine thread. */
final class CudaAttention {

    /** Rows of one block of the prefill kernels. */
    static final int WIDE_TILE = 8;

    /** Interleaved chains of a sum, PARTS of attention.cuh: as many threads for each channel. */
    private static final int PARTS = 4;

    private static final int BLOCK = 128;
    private static final int WARP = 32;
    private static final int MAX_DIM = 256;
    private static final int MAX_SLICES = 16;

    private final CudaContext context;
    private final Launch launch;
    private final Uploads uploads;
    private @Nullable DeviceBuffer features;
    private @Nullable DeviceBuffer units;
    private @Nullable DeviceBuffer global;

    CudaAttention(CudaContext context, Launch launch, Uploads uploads) {
        this.context = context;
        this.launch = launch;
        this.uploads = uploads;
    }

    /** Claims scratch memory for layers and a number of rows. */
    void prepare(List<AttentionSpec> layers, int rows) {
        for (AttentionSpec spec : layers) {
            check(spec);
            claim(spec, rows);
        }
    }

    private static void check(AttentionSpec spec) {
        if (spec.headDim() > MAX_DIM) {
            throw new IllegalStateException("Cannot run attention: expected a head size of at most " + MAX_DIM
                    + ", got " + spec.headDim() + ". Use --kernels vector.");
        }
    }

    private void claim(AttentionSpec spec, int rows) {
        long heads = (long) rows * spec.heads();
        features = grown(features, heads * mappedDim(spec));
        units = grown(units, heads * spec.headDim());
        global = grown(global, heads * spec.headDim());
    }

    private DeviceBuffer grown(@Nullable DeviceBuffer buffer, long elements) {
        return buffer != null && buffer.length() >= elements
                ? buffer
                : context.allocate(elements, "scratch of attention");
    }

    /** Length of a mapped query that the read pass takes from scratch; 0 when it reads the query itself. */
    private static int mappedDim(AttentionSpec spec) {
        return switch (spec.past()) {
            case SUM -> spec.featureDim();
            case TABLES -> spec.hashRounds();
            case DECAY, CHANNEL_DECAY, DELTA -> spec.headDim();
            case NONE, CACHE, SLOTS -> 0;
        };
    }

    /** Rows [d] of the past that a query weighs. */
    private static int pastRows(AttentionSpec spec) {
        return spec.past() == Past.SLOTS ? spec.slotCount() : mappedDim(spec);
    }

    void attend(AttentionCall call) {
        AttentionSpec spec = call.spec();
        Segments segments = call.segments();
        check(spec);
        segments.requireWithin(spec);
        claim(spec, segments.rows());
        StepTables tables = StepTables.of(segments, call.slots(), null);
        DeviceBuffer step = uploads.copy(segments, tables.bytes(), tables::write);
        int rows = segments.rows();
        int d = spec.headDim();
        int work = Math.max(spec.featureDim() / 2, spec.hashRounds() * spec.hashBits());
        begin("attention_map_any_f32", call, tables, step)
                .run(rows, spec.heads() + spec.kvHeads(), 1, BLOCK, 4 * (d + work + 4));
        if (spec.decayDim() > 0) {
            begin("attention_decay_any_f32", call, tables, step).run(rows, spec.kvHeads(), 1, BLOCK, 0);
        }
        int threads = (PARTS * d + WARP - 1) / WARP * WARP;
        if (spec.past() == Past.DELTA) {
            begin("attention_delta_any_f32", call, tables, step)
                    .run(segments.count(), spec.kvHeads(), 1, threads, 4 * (d + spec.group() + PARTS * d));
        }
        int r = tables.tileRows();
        String phase = r == 1 ? "decode" : "prefill";
        if (spec.past() == Past.CACHE) {
            int shared = 4 * r * (d + AttentionSpec.BLOCK + PARTS * d + 5);
            begin("attention_cache_" + phase + "_f32", call, tables, step)
                    .run(tables.tiles(), spec.heads(), 1, threads, shared);
            return;
        }
        int shared = 4 * r * (pastRows(spec) + Math.max(spec.scoreDim(), 1) + spec.group() + (PARTS + 1) * d + 6);
        begin("attention_read_" + phase + "_f32", call, tables, step)
                .run(tables.tiles(), spec.heads(), 1, threads, shared);
        if (spec.finish() == AttentionSpec.Finish.TOKEN_RMS) {
            begin("attention_token_norm_any_f32", call, tables, step).run(rows, BLOCK, 16);
        }
    }

    void commit(AttentionCall call, Paths paths) {
        AttentionSpec spec = call.spec();
        StepTables tables = StepTables.of(call.segments(), call.slots(), paths);
        DeviceBuffer step = uploads.copy(paths, tables.bytes(), tables::write);
        int segments = call.segments().count();
        begin("attention_append_commit_f32", call, tables, step).run(segments, spec.kvHeads(), 1, BLOCK, 0);
        if (spec.past() == Past.CACHE || !tables.closesGroup(spec.group())) {
            return;
        }
        int rows = spec.past() == Past.SLOTS ? spec.headDim() : pastRows(spec);
        if (rows > 0) {
            begin("attention_close_commit_f32", call, tables, step)
                    .run(segments, spec.kvHeads(), Math.min(rows, MAX_SLICES), BLOCK, 0);
        }
        if (spec.tail() > 0) {
            begin("attention_tail_commit_f32", call, tables, step).run(segments, spec.kvHeads(), 1, BLOCK, 0);
        }
    }

    private static @Nullable DeviceBuffer device(@Nullable Buffer buffer) {
        return buffer == null ? null : DeviceBuffer.of(buffer);
    }

    /** Writes struct AttentionParams of attention.cuh, field by field. */
    private Launch begin(String kernel, AttentionCall call, StepTables tables, DeviceBuffer step) {
        AttentionSpec spec = call.spec();
        AttentionWeights w = call.weights();
        launch.of(kernel)
                .pointer(device(call.qkv()))
                .pointer(device(call.gates()))
                .pointer(device(call.records()))
                .pointer(device(call.out()))
                .pointer(global)
                .pointer(features)
                .pointer(units)
                .pointer(step)
                .pointer(step, tables.tilesAt())
                .pointer(step, tables.rowSegmentAt())
                .pointer(step, tables.depthAt())
                .pointer(step, tables.pathStartAt())
                .pointer(step, tables.pathsAt())
                .pointer(step, tables.acceptedAt())
                .pointer(device(w.queryMap()))
                .pointer(device(w.keyMap()))
                .pointer(device(w.slots()))
                .pointer(device(w.logDecay()))
                .pointer(device(w.norm()))
                .pointer(device(w.conv()));
        launch.i32(past(spec.past()))
                .i32(map(spec.map()))
                .i32(finish(spec.finish()))
                .i32(local(spec.local()))
                .flag(spec.grouped())
                .flag(spec.denominator())
                .i32(spec.taps())
                .i32(spec.tail())
                .i32(spec.heads())
                .i32(spec.kvHeads())
                .i32(spec.headDim())
                .i32(spec.featureDim())
                .i32(spec.group())
                .i32(spec.groupStride())
                .i32(spec.hashRounds())
                .i32(spec.hashBits())
                .i32(spec.slotCount())
                .i32(spec.slotPositions())
                .i32(call.offset())
                .i32(spec.headFloats())
                .i32(spec.zOffset());
        boolean cache = spec.past() == Past.CACHE;
        return launch.i32(cache ? 0 : spec.scoreOffset())
                .i32(cache ? 0 : spec.closeOffset())
                .i32(cache ? 0 : spec.decayOffset())
                .i32(cache ? 0 : spec.valueOffset())
                .i32(cache ? spec.cacheValues() : 0)
                .i32(spec.slotValues())
                .i32(spec.scoreDim())
                .i32(spec.closeDim())
                .i32(spec.decayDim())
                .i32(spec.headRecord())
                .i32(spec.recordClose())
                .i32(spec.recordDecay())
                .i32(spec.recordValue())
                .i32(mappedDim(spec))
                .i32(pastRows(spec))
                .f32(w.alpha());
    }

    // The numbers of the enums in attention.cuh.

    private static int past(Past past) {
        return switch (past) {
            case NONE -> 0;
            case CACHE -> 1;
            case SUM -> 2;
            case TABLES -> 3;
            case SLOTS -> 4;
            case DECAY -> 5;
            case CHANNEL_DECAY -> 6;
            case DELTA -> 7;
        };
    }

    private static int map(AttentionSpec.FeatureMap map) {
        return switch (map) {
            case IDENTITY -> 0;
            case RELU -> 1;
            case ELU -> 2;
            case UNIT -> 3;
            case RANDOM_EXP -> 4;
            case SOFTMAX_PAIR -> 5;
            case HASH -> 6;
        };
    }

    private static int finish(AttentionSpec.Finish finish) {
        return switch (finish) {
            case NONE -> 0;
            case RATIO_EPS -> 1;
            case RATIO -> 2;
            case TOKEN_RMS -> 3;
            case UNIT -> 4;
            case HEAD_NORM -> 5;
        };
    }

    private static int local(AttentionSpec.Local local) {
        return switch (local) {
            case NONE -> 0;
            case RELU2 -> 1;
            case SOFTMAX -> 2;
            case YOSO -> 3;
        };
    }
}
