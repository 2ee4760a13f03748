package dev.freshet.cuda;

import dev.freshet.kernel.Draw;
import dev.freshet.kernel.DrawRule;
import dev.freshet.kernel.Drawn;
import dev.freshet.kernel.Kernels;
import dev.freshet.request.SamplingParams;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Draws tokens on the device: tables to it, three kernels, ids and requested log-probabilities back. Rows go in waves, so that memory has
 * a bound: so many rows with edited logits and so many list elements at once. Confined to the engine thread.
 */
final class CudaSampling {

    /** Rows of one wave whose logits are edited, each a copy of them in double precision. */
    private static final int EDITED_ROWS = 32;

    /** Elements of the lists of one wave; one row needs at most a few more than two for each id of a vocabulary. */
    private static final int LIST_INTS = 1 << 18;

    private static final int BLOCK = 256;
    private static final int CHUNK = 1024;

    // Sizes of the structs of sample.cuh.
    private static final int ROW_BYTES = 120;
    private static final int LOGPROB_BYTES = 264;
    private static final int MEMORY_BYTES = 20656;
    private static final int START_BYTES = 16;
    private static final int TOP = 20;

    private static final int[] NOWHERE = {0, 0, 0};

    private final CudaContext context;
    private final Launch launch;
    private final Lists lists = new Lists();
    private final Map<DrawRule, int[]> known = new IdentityHashMap<>();
    private int vocab;
    private int rows;
    private @Nullable DeviceBuffer table;
    private @Nullable DeviceBuffer elements;
    private @Nullable DeviceBuffer edited;
    private @Nullable DeviceBuffer tokens;
    private @Nullable DeviceBuffer logprobs;
    private @Nullable DeviceBuffer ranked;

    /** Ints of a wave, as many as there is room for. */
    private static final class Lists {
        private int[] values = new int[1024];
        private int size;

        void add(int value) {
            if (size == values.length) {
                values = Arrays.copyOf(values, 2 * size);
            }
            values[size++] = value;
        }

        /** Appends all and returns where they begin. */
        int addAll(int[] all) {
            int at = size;
            for (int value : all) {
                add(value);
            }
            return at;
        }
    }

    CudaSampling(CudaContext context, Launch launch) {
        this.context = context;
        this.launch = launch;
    }

    /** Claims the memory of all later draws. */
    void prepare(int vocabulary, int mostRows) {
        if (vocabulary <= vocab && mostRows <= rows) {
            return;
        }
        vocab = vocabulary;
        rows = mostRows;
        table = context.allocate((long) rows * ROW_BYTES / 4, "rows to draw from");
        elements = context.allocate(listInts(), "lists of the sampler");
        edited = context.allocate(2L * Math.min(rows, EDITED_ROWS) * vocab, "edited logits");
        tokens = context.allocate(rows, "drawn tokens");
        ranked = context.allocate((long) rows * Kernels.MOST_TOP, "ranked tokens");
        logprobs = context.allocate((long) rows * LOGPROB_BYTES / 4, "log-probabilities");
    }

    private int listInts() {
        return Math.max(LIST_INTS, 4 * vocab);
    }

    /** Draws from rows of logits of a vocabulary. */
    List<Drawn> draw(DeviceBuffer logits, int vocabulary, List<Draw> draws) {
        if (vocabulary > vocab || draws.size() > rows) {
            throw new IllegalStateException("Cannot draw: expected at most " + rows + " rows of " + vocab
                    + " logits, got " + draws.size() + " of " + vocabulary + ". Prepare for them.");
        }
        List<Drawn> out = new ArrayList<>(draws.size());
        for (int from = 0; from < draws.size(); ) {
            int to = wave(draws, from);
            int wanted = launch(logits, vocabulary, draws.subList(from, to));
            collect(draws.subList(from, to), vocabulary, wanted, out);
            from = to;
        }
        return out;
    }

    /** Ids of the k largest logits of each row, [rows, k]. */
    int[] top(DeviceBuffer logits, int vocabulary, int count, int k) {
        if (count > rows || k > Kernels.MOST_TOP) {
            throw new IllegalStateException("Cannot rank: expected at most " + rows + " rows and " + Kernels.MOST_TOP
                    + " ids of each, got " + count + " and " + k);
        }
        launch.of("sample_top_any_f32")
                .pointer(logits)
                .pointer(ranked)
                .i32(vocabulary)
                .i32(k)
                .run(count, BLOCK, MEMORY_BYTES);
        int[] out = new int[count * k];
        context.fetch(Objects.requireNonNull(ranked), 4 * out.length)
                .asIntBuffer()
                .get(out);
        return out;
    }

    /** End of the wave that begins at a row. */
    private int wave(List<Draw> draws, int from) {
        known.clear();
        long ints = 0;
        int edits = 0;
        for (int to = from; to < draws.size(); to++) {
            Draw draw = draws.get(to);
            if (draw.path().length > Draw.LONGEST_PATH) {
                throw new IllegalStateException("Cannot draw: expected a draft of at most " + Draw.LONGEST_PATH
                        + " tokens in a row, got " + draw.path().length);
            }
            if (!draw.edits()) {
                continue;
            }
            DrawRule rule = draw.rule();
            boolean first = known.put(rule, NOWHERE) == null;
            ints += draw.path().length
                    + (first ? 3 * rule.biasIds().length + rule.seen().length + rule.forbidden().length : 0);
            if (to > from && (edits == EDITED_ROWS || ints > listInts())) {
                return to;
            }
            edits++;
        }
        return draws.size();
    }

    /** Appends the lists of a rule; returns where bias, seen and forbidden ids begin. */
    private int[] share(DrawRule rule) {
        int bias = lists.size;
        for (int i = 0; i < rule.biasIds().length; i++) {
            long bits = Double.doubleToRawLongBits(rule.biases()[i]);
            lists.add(rule.biasIds()[i]);
            lists.add((int) bits);
            lists.add((int) (bits >>> 32));
        }
        int seen = lists.addAll(rule.seen());
        return new int[] {bias, seen, lists.addAll(rule.forbidden())};
    }

    /** Launches the kernels for the rows of a wave; returns how many of them want log-probabilities. */
    private int launch(DeviceBuffer logits, int vocabulary, List<Draw> wave) {
        lists.size = 0;
        known.clear();
        ByteBuffer to = ByteBuffer.allocate(wave.size() * ROW_BYTES).order(ByteOrder.nativeOrder());
        int scratch = 0;
        int wanted = 0;
        for (Draw draw : wave) {
            boolean edits = draw.edits();
            int logprob = draw.rule().params().logprobs() >= 0 ? wanted++ : -1;
            put(to, draw, logprob, edits ? scratch++ : -1, vocabulary);
        }
        to.flip();
        ByteBuffer staged = context.stage(to.limit());
        staged.put(to);
        context.send(to.limit(), Objects.requireNonNull(table), 0);
        if (lists.size > 0) {
            context.stage(4 * lists.size).asIntBuffer().put(lists.values, 0, lists.size);
            context.send(4 * lists.size, Objects.requireNonNull(elements), 0);
        }
        int shared = MEMORY_BYTES + START_BYTES * ((vocabulary + CHUNK - 1) / CHUNK);
        if (scratch > 0) {
            begin("sample_edit_any_f64", logits, vocabulary).run(wave.size(), BLOCK, 4 * Draw.LONGEST_PATH);
        }
        begin("sample_draw_any_f32", logits, vocabulary).run(wave.size(), BLOCK, shared);
        if (wanted > 0) {
            begin("sample_logprob_any_f32", logits, vocabulary).run(wave.size(), BLOCK, shared);
        }
        return wanted;
    }

    /** Writes struct SampleRow of sample.cuh, field by field. */
    private void put(ByteBuffer to, Draw draw, int logprob, int scratch, int vocabulary) {
        DrawRule rule = draw.rule();
        SamplingParams params = rule.params();
        int[] at = NOWHERE;
        int path = 0;
        if (scratch >= 0) {
            at = known.computeIfAbsent(rule, this::share);
            path = lists.addAll(draw.path());
        }
        to.putDouble(params.temperature())
                .putDouble(params.minP() > 0 ? StrictMath.log(params.minP()) : Double.NEGATIVE_INFINITY)
                .putDouble(params.topP())
                .putDouble(params.repetitionPenalty())
                .putDouble(params.frequencyPenalty())
                .putDouble(params.presencePenalty())
                .putLong(params.seed())
                .putLong(draw.position());
        to.putInt(draw.logitRow())
                .putInt(params.topK())
                .putInt(Math.min(Math.min(params.logprobs(), TOP), vocabulary))
                .putInt(logprob)
                .putInt(scratch)
                .putInt(at[0])
                .putInt(rule.biasIds().length)
                .putInt(at[1])
                .putInt(rule.seen().length / 2)
                .putInt(path)
                .putInt(draw.path().length)
                .putInt(at[2])
                .putInt(draw.forbids() ? rule.forbidden().length : 0)
                .putInt(params.penalised() ? 1 : 0);
    }

    /** Writes struct SampleParams of sample.cuh, field by field. */
    private Launch begin(String kernel, DeviceBuffer logits, int vocabulary) {
        return launch.of(kernel)
                .pointer(logits)
                .pointer(table)
                .pointer(elements)
                .pointer(edited)
                .pointer(tokens)
                .pointer(logprobs)
                .i32(vocabulary);
    }

    private void collect(List<Draw> wave, int vocabulary, int wanted, List<Drawn> out) {
        int[] ids = new int[wave.size()];
        context.fetch(Objects.requireNonNull(tokens), 4 * ids.length)
                .asIntBuffer()
                .get(ids);
        ByteBuffer sums = wanted == 0
                ? ByteBuffer.allocate(0)
                : context.fetch(Objects.requireNonNull(logprobs), wanted * LOGPROB_BYTES);
        int at = 0;
        for (int i = 0; i < ids.length; i++) {
            int alternatives = wave.get(i).rule().params().logprobs();
            if (alternatives < 0) {
                out.add(Drawn.of(ids[i]));
            } else {
                int k = Math.min(Math.min(alternatives, TOP), vocabulary);
                out.add(ids[i] < 0 ? Drawn.of(ids[i]) : logprobs(sums, at, ids[i], k));
                at += LOGPROB_BYTES;
            }
        }
    }

    /** Reads struct SampleLogprob of sample.cuh. */
    private static Drawn logprobs(ByteBuffer from, int at, int token, int k) {
        int[] ids = new int[k];
        double[] top = new double[k];
        for (int i = 0; i < k; i++) {
            top[i] = from.getDouble(at + 24 + 8 * i);
            ids[i] = from.getInt(at + 24 + 8 * TOP + 4 * i);
        }
        return new Drawn(token, from.getDouble(at), from.getDouble(at + 8), from.getDouble(at + 16), ids, top);
    }
}
