package dev.freshet.operator;

import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.AttentionOptions;
import dev.freshet.attention.LayerAttention;
import dev.freshet.engine.CheckpointPolicy;
import dev.freshet.engine.Engine;
import dev.freshet.engine.EngineConfig;
import dev.freshet.engine.GenerationRequest;
import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.StepResult;
import dev.freshet.engine.StopCondition;
import dev.freshet.kernel.VectorKernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelConfig;
import dev.freshet.model.RandomWeights;
import dev.freshet.model.RopeConfig;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.CounterRng;
import dev.freshet.tensor.DType;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.core.memory.DataOutputViewStreamWrapper;

/**
 * Measures what a checkpoint costs and what it spares, and prints two tables: size and times against the number of sequences, on a
 * model of the shape of stories15M with made-up weights; tokens run again after a kill, by counting over the hash-chain model.
 */
final class CheckpointBench {

    private static final int LAYERS = 6;
    private static final int HEADS = 6;
    private static final int HEAD_DIM = 48;
    private static final int VOCABULARY = 4096;
    private static final int PROMPT = 100;
    private static final int REPEATS = 9;

    private CheckpointBench() {}

    /** Runs both measurements; the arguments are numbers of sequences. */
    public static void main(String[] arguments) throws IOException {
        say(
                "| kind | sequences | policy | bytes | task waits, ms | encode and write, ms | to the next token, ms | run again |");
        say("|---|---|---|---|---|---|---|---|");
        for (String kind : List.of("relu+", "gated_deltanet", "softmax")) {
            for (String count : arguments) {
                cost(kind, Integer.parseInt(count));
            }
        }
        say("");
        say("| policy | kills | tokens run again for a kill | of them prompt tokens | a kill and sequence in flight |");
        say("|---|---|---|---|---|");
        for (String policy : List.of("state", "tokens", "none")) {
            recomputed(policy);
        }
    }

    @SuppressWarnings("SystemOut") // The tables are what this class is for.
    private static void say(String line) {
        System.out.println(line);
    }

    private static Decoder model(String kind, int slots) {
        double[] frequencies = new double[HEAD_DIM / 2];
        for (int c = 0; c < frequencies.length; c++) {
            frequencies[c] = StrictMath.pow(10_000, -2.0 * c / HEAD_DIM);
        }
        boolean augmented = kind.endsWith("+");
        LayerAttention layer = new LayerAttention(AttentionKind.of(kind.replace("+", "")), augmented);
        ModelConfig config = new ModelConfig(
                ModelConfig.Architecture.LLAMA,
                HEADS * HEAD_DIM,
                HEADS,
                HEADS,
                HEAD_DIM,
                768,
                VOCABULARY,
                512,
                1e-5,
                new RopeConfig(frequencies, 1),
                true,
                AttentionOptions.DEFAULTS,
                Collections.nCopies(LAYERS, layer),
                0,
                List.of());
        return Decoder.load(
                config,
                new RandomWeights(config, DType.F32, 1),
                new VectorKernels(Runtime.getRuntime().availableProcessors()),
                DecoderOptions.of(slots),
                layers -> {});
    }

    private static GenerationRequest request(int i, int prompt, int vocabulary, int tokens) {
        int[] ids = new int[prompt];
        Arrays.setAll(ids, t -> (int) (CounterRng.uniform(i, t) * vocabulary));
        SamplingParams params = SamplingParams.builder()
                .temperature(0)
                .maxTokens(tokens)
                .ignoreEos(true)
                .build();
        return new GenerationRequest("p" + i, ids, params, StopCondition.NONE, SpeculationMode.OFF, 0);
    }

    private static void cost(String kind, int sequences) throws IOException {
        try (Decoder model = model(kind, sequences)) {
            EngineConfig config = new EngineConfig(sequences, 512, Set.of(), null);
            Engine engine = new Engine(model, config);
            for (int i = 0; i < sequences; i++) {
                engine.submit(request(i, PROMPT, VOCABULARY, 400));
            }
            // Until every text has begun.
            Set<String> begun = new HashSet<>();
            while (begun.size() < sequences) {
                engine.step().accepted().forEach(a -> begun.add(a.id()));
            }
            for (CheckpointPolicy policy : List.of(CheckpointPolicy.STATE, CheckpointPolicy.TOKENS)) {
                engine = measure(kind, policy, model, config, engine);
            }
        }
    }

    private static Engine measure(
            String kind, CheckpointPolicy policy, Decoder model, EngineConfig config, Engine engine)
            throws IOException {
        double[] waits = new double[REPEATS];
        double[] writes = new double[REPEATS];
        long bytes = 0;
        Path file = Files.createTempFile("checkpoint", ".bin");
        List<SequenceSnapshot> taken = List.of();
        for (int r = 0; r < REPEATS; r++) {
            engine.step();
            long start = System.nanoTime();
            taken = engine.snapshot(policy, 0);
            long copied = System.nanoTime();
            try (OutputStream out = Files.newOutputStream(file)) {
                DataOutputViewStreamWrapper view = new DataOutputViewStreamWrapper(out);
                for (SequenceSnapshot s : taken) {
                    new InFlightSerializer().serialize(inFlight(s), view);
                }
            }
            waits[r] = (copied - start) / 1e6;
            writes[r] = (System.nanoTime() - copied) / 1e6;
            bytes = Files.size(file);
        }
        Files.delete(file);
        for (SequenceSnapshot s : taken) {
            engine.cancel(s.id());
        }
        Engine next = new Engine(model, config);
        long start = System.nanoTime();
        long again = 0;
        for (SequenceSnapshot s : taken) {
            again += next.restore(s, StopCondition.NONE);
        }
        Set<String> went = new HashSet<>();
        while (went.size() < taken.size()) {
            next.step().accepted().forEach(a -> went.add(a.id()));
        }
        double resumed = (System.nanoTime() - start) / 1e6;
        say("| %s | %d | %s | %,d | %.2f | %.1f | %.0f | %,d |"
                .formatted(
                        kind,
                        taken.size(),
                        policy.name().toLowerCase(java.util.Locale.ROOT),
                        bytes,
                        median(waits),
                        median(writes),
                        resumed,
                        again));
        return next;
    }

    private static InFlight inFlight(SequenceSnapshot s) {
        Origin origin = new Origin("prompts", 0, 0, 0, null, List.of());
        return new InFlight(
                "f",
                new Ticket(origin, s.id(), s.id(), false, false, false, null, 0, null, null),
                s,
                0,
                1,
                1,
                0,
                new int[0]);
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    /** Keeps 200 sequences of 500 prompt tokens in flight, kills at random, restores the last checkpoint of every 50 steps. */
    private static void recomputed(String policy) {
        int slots = 200;
        int prompt = 500;
        int tokens = 300;
        int kills = 30;
        HashChainModel model = new HashChainModel(LetterTexts.VOCABULARY, 2000, slots);
        long[] rows = new long[1];
        model.onToken(token -> rows[0]++);
        EngineConfig config = new EngineConfig(slots, 256, Set.of(), null);
        Engine engine = new Engine(model, config);
        List<SequenceSnapshot> checkpoint = List.of();
        int checkpointedNext = 0;
        int next = 0;
        int done = 0;
        long promptRows = 0;
        Map<String, Integer> ended = new HashMap<>();
        int killed = 0;
        long step = 0;
        long kill = 3000;
        while (killed < kills || !engine.isIdle()) {
            while (killed < kills && engine.hasRoom()) {
                engine.submit(request(next++, prompt, LetterTexts.VOCABULARY, tokens));
            }
            StepResult result = engine.step();
            promptRows += result.stats().promptTokens();
            for (StepResult.Finished f : result.finished()) {
                ended.put(f.id(), f.tokens().length);
            }
            step++;
            if (step % 50 == 0) {
                done += ended.size();
                ended.clear();
                checkpoint =
                        engine.snapshot(policy.equals("state") ? CheckpointPolicy.STATE : CheckpointPolicy.TOKENS, 0);
                checkpointedNext = next;
            }
            if (step == kill && killed < kills) {
                killed++;
                kill += 500 + (long) (CounterRng.uniform(9, killed) * 1000);
                ended.clear();
                for (SequenceSnapshot s : engine.snapshot(CheckpointPolicy.TOKENS, 0)) {
                    engine.cancel(s.id());
                }
                engine = new Engine(model, config);
                next = checkpointedNext;
                for (SequenceSnapshot s : checkpoint) {
                    if (policy.equals("none")) {
                        engine.restore(restart(s), StopCondition.NONE);
                    } else {
                        engine.restore(s, StopCondition.NONE);
                    }
                }
            }
        }
        done += ended.size();
        long needed = (long) done * (prompt + tokens - 1);
        double again = (double) (rows[0] - needed) / kills;
        say("| %s | %d | %,.0f | %,.0f | %.1f |"
                .formatted(
                        policy.equals("none") ? "none: every text begins again" : policy,
                        kills,
                        again,
                        (double) (promptRows - (long) done * prompt) / kills,
                        again / slots));
    }

    private static SequenceSnapshot restart(SequenceSnapshot s) {
        return new SequenceSnapshot(
                s.id(),
                s.prompt(),
                new int[0],
                s.params(),
                s.speculation(),
                s.priority(),
                List.of(),
                s.stats(),
                0,
                null);
    }
}
