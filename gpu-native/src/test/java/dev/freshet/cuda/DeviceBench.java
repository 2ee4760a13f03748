package dev.freshet.cuda;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.AttentionOptions;
import dev.freshet.attention.LayerAttention;
import dev.freshet.attention.StateLayout;
import dev.freshet.kernel.Draw;
import dev.freshet.kernel.DrawRule;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.model.Batch;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelConfig;
import dev.freshet.model.RandomWeights;
import dev.freshet.model.RopeConfig;
import dev.freshet.request.SamplingParams;
import dev.freshet.tensor.DType;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/**
 * Whole models with random weights on the device: decoding greedily and
 * sampling, verification of drafts and prefill, each beside the copy rate measured in
 * the same run. Arguments: --shapes=1b,7b --attention=relu+,softmax --batches=1,8,64,256 --prefill=2048,32768 --json=FILE.
 */
public final class DeviceBench {

    private static final PrintStream OUT = System.out;
    private static final long PROBE_FLOATS = 256L << 20;
    private static final long SMALL_PROBE_FLOATS = 1L << 16;
    private static final int DRAFT = 16;
    private static final int CHUNK = 64;
    private static final DrawRule GREEDY =
            rule(SamplingParams.builder().temperature(0).build());
    private static final DrawRule WARM =
            rule(SamplingParams.builder().temperature(0.8).topP(0.95).build());

    private final CudaKernels probe;
    private final double copyRate;
    private final double seconds;
    private final ArrayNode rows;

    /** Width, depth and heads of a well-known model. */
    private record Shape(int hidden, int intermediate, int layers, int heads, int kvHeads) {}

    private static final Map<String, Shape> SHAPES = Map.of(
            "tiny", new Shape(64, 96, 2, 4, 2),
            "1b", new Shape(2048, 5632, 22, 32, 4),
            "7b", new Shape(4096, 11008, 32, 32, 32));

    private DeviceBench(CudaKernels probe, double seconds, boolean small, ArrayNode rows) {
        this.probe = probe;
        this.seconds = seconds;
        this.rows = rows;
        copyRate = copyRate(small ? SMALL_PROBE_FLOATS : PROBE_FLOATS);
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, String> options = new HashMap<>();
        for (String argument : arguments) {
            int at = argument.indexOf('=');
            options.put(argument.substring(2, at), argument.substring(at + 1));
        }
        ObjectNode json = new ObjectMapper().createObjectNode();
        List<String> shapes = list(options.getOrDefault("shapes", "1b,7b"));
        double seconds = Double.parseDouble(options.getOrDefault("seconds", "1"));
        try (CudaKernels kernels = FakeDriver.open(CudaOptions.fromProperties(), FaultHandler.HALT)) {
            json.put("device", kernels.describe());
            DeviceBench bench = new DeviceBench(kernels, seconds, shapes.contains("tiny"), json.putArray("rows"));
            json.put("copy_gb_per_s", bench.copyRate / 1e9);
            OUT.printf(Locale.ROOT, "%s%ncopy %.1f GB/s%n", kernels.describe(), bench.copyRate / 1e9);
            OUT.printf(
                    "%-5s %-14s %-8s %5s %7s %10s %10s %9s %9s%n",
                    "shape", "attention", "phase", "batch", "tokens", "ms/step", "tokens/s", "GB/s", "of copy");
            for (String shape : shapes) {
                for (String attention : list(options.getOrDefault("attention", "relu+"))) {
                    bench.model(
                            shape,
                            attention,
                            ints(options.getOrDefault("batches", "1,8,64,256")),
                            ints(options.getOrDefault("prefill", "2048,32768")));
                }
            }
        }
        if (options.containsKey("json")) {
            Files.writeString(Path.of(options.get("json")), json.toPrettyString() + "\n");
        }
    }

    private static List<String> list(String text) {
        return Arrays.asList(text.split(","));
    }

    private static int[] ints(String text) {
        return list(text).stream()
                .filter(s -> !s.isEmpty())
                .mapToInt(Integer::parseInt)
                .toArray();
    }

    /** Bytes a second of a copy within the device, read and written bytes together. */
    private double copyRate(long floats) {
        DeviceBuffer from = DeviceBuffer.of(probe.allocate(floats));
        DeviceBuffer to = DeviceBuffer.of(probe.allocate(floats));
        double time = time(() -> {
            probe.copy(from, to, floats);
            probe.waitForDevice();
        });
        return 8.0 * floats / time;
    }

    /** Seconds of one call, the fastest of five batches after one for warming up. */
    private double time(Runnable call) {
        double best = Double.MAX_VALUE;
        for (int i = 0; i < 6; i++) {
            long start = System.nanoTime();
            int calls = 0;
            do {
                call.run();
                calls++;
            } while (System.nanoTime() - start < seconds / 6 * 1e9);
            double each = (System.nanoTime() - start) / 1e9 / calls;
            best = i == 0 ? best : Math.min(best, each);
        }
        return best;
    }

    private static ModelConfig config(Shape shape, String attention) {
        int headDim = shape.hidden / shape.heads;
        double[] frequencies = new double[headDim / 2];
        for (int c = 0; c < frequencies.length; c++) {
            frequencies[c] = Math.pow(10_000, -2.0 * c / headDim);
        }
        boolean augmented = attention.endsWith("+");
        LayerAttention layer = new LayerAttention(AttentionKind.of(attention.replace("+", "")), augmented);
        return new ModelConfig(
                ModelConfig.Architecture.LLAMA,
                shape.hidden,
                shape.heads,
                shape.kvHeads,
                headDim,
                shape.intermediate,
                32_000,
                1 << 20,
                1e-5,
                new RopeConfig(frequencies, 1),
                false,
                AttentionOptions.DEFAULTS,
                Collections.nCopies(shape.layers, layer),
                0,
                List.of());
    }

    private void model(String name, String attention, int[] batches, int[] prefill) {
        ModelConfig config = config(Objects.requireNonNull(SHAPES.get(name), "no shape " + name), attention);
        long slotBytes = new StateLayout(config.specs(CHUNK)).bytes();
        int slots = 1;
        for (int batch : batches) {
            // Weights, activations and 4 GiB stay free.
            boolean fits = batch * slotBytes + 2L * weights(config) + (4L << 30) < probe.freeBytes() || batch <= 8;
            slots = fits ? Math.max(slots, batch) : slots;
        }
        DecoderOptions options = new DecoderOptions(
                slots, Math.max(slots, 8 * CHUNK), Math.max(slots, 8 * DRAFT), 4 * CHUNK, WeightFormat.BF16);
        try (CudaKernels kernels = FakeDriver.open(CudaOptions.fromProperties(), FaultHandler.HALT);
                Decoder decoder = Decoder.load(
                        config, new RandomWeights(config, DType.BF16, 1), kernels, options, layers -> {})) {
            Steps steps = new Steps(decoder);
            for (int batch : batches) {
                if (batch > slots) {
                    OUT.printf(
                            "%-5s %-14s batch %d is left out: its states need %d MiB%n",
                            name, attention, batch, (batch * slotBytes) >> 20);
                    continue;
                }
                double plain = time(() -> steps.decode(batch, GREEDY));
                long bytes = weights(config) * 2 + batch * slotBytes;
                row(name, attention, "decode", batch, batch, plain, bytes);
                row(name, attention, "sample", batch, batch, time(() -> steps.decode(batch, WARM)), bytes);
                if (batch <= 8) {
                    double draft = time(() -> steps.verify(batch, DRAFT));
                    row(name, attention, "verify", batch, batch * DRAFT, draft, bytes);
                }
                steps.reset(batch);
            }
            for (int length : prefill) {
                // A cache of that length would not leave room for the batches.
                if (length > 0 && config.constantState()) {
                    double whole = time(() -> steps.prefill(length));
                    long passes = (length + CHUNK - 1) / CHUNK;
                    row(name, attention, "prefill", 1, length, whole, weights(config) * 2 * passes);
                }
            }
        }
    }

    /** Weights that a step reads. */
    private static long weights(ModelConfig c) {
        long q = (long) c.heads() * c.headDim();
        long kv = (long) c.kvHeads() * c.headDim();
        return c.layers().size() * (c.hidden() * (2 * q + 2 * kv + 3L * c.intermediate()))
                + (long) c.vocabSize() * c.hidden();
    }

    private void row(String shape, String attention, String phase, int batch, int tokens, double time, long bytes) {
        double share = bytes / time / copyRate;
        OUT.printf(
                Locale.ROOT,
                "%-5s %-14s %-8s %5d %7d %10.3f %10.1f %9.1f %7.1f %%%n",
                shape,
                attention,
                phase,
                batch,
                tokens,
                1e3 * time,
                tokens / time,
                bytes / time / 1e9,
                100 * share);
        rows.addObject()
                .put("shape", shape)
                .put("attention", attention)
                .put("phase", phase)
                .put("batch", batch)
                .put("tokens", tokens)
                .put("step_ms", 1e3 * time)
                .put("tokens_per_s", tokens / time)
                .put("bytes", bytes)
                .put("gb_per_s", bytes / time / 1e9)
                .put("share_of_copy", share);
    }

    private static DrawRule rule(SamplingParams params) {
        return new DrawRule(params, new int[0], new double[0], new int[0], new int[0]);
    }

    /** Steps of one decoder: forward pass, a token drawn from every row of logits, commit. */
    private static final class Steps {
        private final Decoder decoder;
        private final Batch batch;
        private final Paths paths;
        private final int[] chain;
        private final int[] positions;

        Steps(Decoder decoder) {
            this.decoder = decoder;
            batch = new Batch(decoder.slots(), decoder.maxRows(), decoder.maxLogitRows());
            paths = new Paths(decoder.slots(), decoder.maxRows());
            chain = new int[decoder.maxRows()];
            Arrays.setAll(chain, i -> i);
            positions = new int[decoder.slots()];
        }

        /** One token of every sequence; a softmax cache starts again when it is full. */
        void decode(int sequences, DrawRule rule) {
            batch.clear();
            paths.clear();
            for (int s = 0; s < sequences; s++) {
                place(s, 1);
                batch.addTree(s, positions[s], new int[] {7 + s}, new int[] {-1});
                paths.add(s, chain, 1);
                positions[s]++;
            }
            decoder.forward(batch);
            draw(rule);
            decoder.commit(paths);
        }

        /** A token from every row that has logits; waits for it. */
        private void draw(DrawRule rule) {
            List<Draw> draws = new ArrayList<>();
            for (int row = 0; row < batch.logitRows(); row++) {
                draws.add(new Draw(row, rule, row, new int[0], false));
            }
            if (!draws.isEmpty()) {
                decoder.draw(draws);
            }
        }

        /** A draft of so many nodes for every sequence, of which one is accepted. */
        void verify(int sequences, int nodes) {
            int[] tokens = new int[nodes];
            int[] parents = new int[nodes];
            for (int i = 0; i < nodes; i++) {
                tokens[i] = 11 + i;
                parents[i] = (i - 1) >> 1;
            }
            parents[0] = -1;
            batch.clear();
            paths.clear();
            for (int s = 0; s < sequences; s++) {
                place(s, nodes);
                batch.addTree(s, positions[s], tokens, parents);
                paths.add(s * nodes, chain, 1);
                positions[s]++;
            }
            decoder.forward(batch);
            draw(GREEDY);
            decoder.commit(paths);
        }

        /** Makes room in the open group, and in the cache, for rows of a sequence. */
        private void place(int slot, int depth) {
            if (positions[slot] + depth >= Math.min(decoder.contextLength(), 1 << 20)) {
                positions[slot] = 0;
            }
            if (positions[slot] % CHUNK + depth > CHUNK) {
                positions[slot] += CHUNK - positions[slot] % CHUNK;
            }
            if (positions[slot] + depth >= Math.min(decoder.contextLength(), 1 << 20)) {
                positions[slot] = 0;
            }
        }

        /** A prompt in chunks of a group, logits for its last token. */
        void prefill(int length) {
            int[] source = new int[length];
            Arrays.setAll(source, i -> i % 1000);
            for (int at = 0; at < length; at += CHUNK) {
                int n = Math.min(CHUNK, length - at);
                batch.clear();
                paths.clear();
                if (at + n > decoder.contextLength()) {
                    break;
                }
                batch.addChunk(0, source, at, n, at + n == length);
                paths.add(0, chain, n);
                decoder.forward(batch);
                draw(GREEDY);
                decoder.commit(paths);
            }
            decoder.release(0, length);
            positions[0] = 0;
        }

        void reset(int sequences) {
            for (int s = 0; s < sequences; s++) {
                decoder.release(s, positions[s]);
                positions[s] = 0;
            }
        }
    }
}
