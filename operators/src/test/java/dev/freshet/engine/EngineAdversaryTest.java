package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.ReferenceKernels;
import dev.freshet.kernel.VectorKernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.CounterRng;
import dev.freshet.sampling.Logprobs;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Everything at once, at random: arrivals, cancellations, priorities, restores, drafting modes, a clock that lies, batches with
 * hardly any room, prompts that end at group edges and at the end of the context. Whatever happens, each sequence must get what it
 * gets alone, one token a step.
 */
final class EngineAdversaryTest {

    private static final int VOCAB = 60;
    private static final int GROUP = 8;
    private static final int CONTEXT = 48;
    private static final int REQUESTS = 60;
    private static final int SEEDS = 3;
    private static final SpeculationMode[] LOSSLESS = {
        SpeculationMode.OFF, SpeculationMode.AUTO, SpeculationMode.TREE, SpeculationMode.LOOKUP
    };

    @TempDir
    Path folder;

    static Stream<Arguments> cases() {
        List<String> kinds = List.of(
                "softmax",
                "flash_local+",
                "flash_global",
                "linformer+",
                "performer",
                "yoso+",
                "relu",
                "hedgehog+",
                "retnet",
                "gla",
                "gated_deltanet",
                "yoso_local");
        return kinds.stream().flatMap(kind -> IntStream.range(0, SEEDS).mapToObj(seed -> Arguments.of(kind, seed)));
    }

    /** Random numbers of one case. */
    private static final class Dice {
        private final long seed;
        private long drawn;

        Dice(long seed) {
            this.seed = seed;
        }

        int below(int bound) {
            return (int) (CounterRng.uniform(seed, drawn++) * bound);
        }

        boolean once(int in) {
            return below(in) == 0;
        }
    }

    /** One request with everything that decides its answer. */
    private record Ask(
            String id, int[] prompt, SamplingParams params, int stopAfter, int priority, SpeculationMode mode) {

        GenerationRequest request(SpeculationMode used) {
            return new GenerationRequest(id, prompt, params, stop(0), used, priority);
        }

        /** Stops by the count of tokens, as a stop string does in the middle of an accepted run. */
        StopCondition stop(int seen) {
            int[] count = {seen};
            return token -> ++count[0] == stopAfter ? new StopMatch("stop", null) : null;
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void everySequenceGetsWhatItGetsAlone(String kind, int seed) {
        Dice dice = new Dice(1000L * seed + kind.hashCode());
        Path path = TestModels.write(
                folder.resolve("m"), new TestModels.Shape(kind, VOCAB, 1, GROUP, 3, CONTEXT, 11 + seed));
        List<Ask> asks = new ArrayList<>();
        for (int i = 0; i < REQUESTS; i++) {
            asks.add(ask(i, dice));
        }
        boolean fast = seed % 2 == 1;
        int slots = 1 + dice.below(6);
        int rows = slots + dice.below(40);
        DecoderOptions tight = new DecoderOptions(slots, rows, slots + dice.below(rows - slots + 1), 0, null);
        try (ModelDirectory directory = ModelDirectory.open(path);
                Decoder alone = Decoder.load(directory, kernels(fast), DecoderOptions.of(1));
                Decoder shared = Decoder.load(directory, kernels(fast), tight)) {
            Map<String, StepResult.Finished> expected = oneByOne(alone, asks);
            new Crowd(shared, asks, expected, dice, kind + " seed " + seed + " " + tight).run();
        }
    }

    private static Kernels kernels(boolean fast) {
        return fast ? new VectorKernels(2) : new ReferenceKernels();
    }

    private static Ask ask(int i, Dice dice) {
        int[] edges = {1, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP - 1, 2 * GROUP, CONTEXT - 2, CONTEXT - 1};
        int[] prompt = new int[dice.once(3) ? edges[dice.below(edges.length)] : 1 + dice.below(30)];
        for (int t = 0; t < prompt.length; t++) {
            prompt[t] = 2 + dice.below(6);
        }
        SamplingParams.Builder params = SamplingParams.builder()
                .maxTokens(1 + dice.below(30))
                .temperature(dice.below(2))
                .seed(i)
                .ignoreEos(dice.once(2))
                .logprobs(dice.once(4) ? dice.below(3) : -1);
        if (dice.once(4)) {
            params.repetitionPenalty(1.3).presencePenalty(0.4).frequencyPenalty(0.1);
        }
        if (dice.once(4)) {
            params.topK(4).minP(0.05).minTokens(dice.below(2)).stopTokenIds(List.of(3, 9));
        }
        return new Ask(
                "r" + i,
                prompt,
                params.build(),
                dice.once(4) ? 1 + dice.below(6) : 0,
                dice.below(3),
                LOSSLESS[dice.below(LOSSLESS.length)]);
    }

    private static Map<String, StepResult.Finished> oneByOne(Decoder model, List<Ask> asks) {
        Map<String, StepResult.Finished> out = new HashMap<>();
        Engine engine = new Engine(model, new EngineConfig(1, 1, Set.of(1), null));
        for (Ask ask : asks) {
            engine.submit(ask.request(SpeculationMode.OFF));
            while (!engine.isIdle()) {
                engine.step().finished().forEach(f -> out.put(f.id(), f));
            }
        }
        return out;
    }

    /** All requests through one engine, in disorder. */
    private static final class Crowd {
        private final Decoder model;
        private final Map<String, Ask> asks = new TreeMap<>();
        private final List<Ask> arrivals;
        private final Map<String, StepResult.Finished> expected;
        private final Dice dice;
        private final String what;
        private final EngineConfig config;
        private final Map<String, List<Integer>> grown = new HashMap<>();
        private final Set<String> done = new HashSet<>();
        private Engine engine;

        Crowd(Decoder model, List<Ask> arrivals, Map<String, StepResult.Finished> expected, Dice dice, String what) {
            this.model = model;
            this.arrivals = arrivals;
            this.expected = expected;
            this.dice = dice;
            this.what = what;
            arrivals.forEach(a -> asks.put(a.id(), a));
            long[] now = {0};
            LongSupplier liar = () -> now[0] += dice.below(1000);
            @Nullable LongSupplier timer = dice.once(3) ? null : liar;
            config = new EngineConfig(4, 1 + dice.below(20), Set.of(1), timer);
            engine = new Engine(model, config);
        }

        void run() {
            int next = 0;
            for (int step = 0; next < arrivals.size() || !engine.isIdle(); step++) {
                assertThat(step).as(what + " comes to an end").isLessThan(20_000);
                while (next < arrivals.size() && engine.hasRoom() && dice.below(3) > 0) {
                    Ask ask = arrivals.get(next++);
                    engine.submit(ask.request(ask.mode()));
                }
                check(engine.step());
                assertThat(engine.running()).isLessThanOrEqualTo(model.slots());
                if (dice.once(25)) {
                    cancel();
                }
                if (dice.once(40)) {
                    restore();
                }
            }
            assertThat(done).as(what).hasSize(arrivals.size());
        }

        private void check(StepResult result) {
            int rows = result.stats().rows();
            assertThat(rows).as(what).isLessThanOrEqualTo(model.maxRows());
            assertThat(result.stats().acceptedDraftTokens())
                    .isLessThanOrEqualTo(result.stats().draftTokens());
            for (StepResult.Accepted a : result.accepted()) {
                List<Integer> all = grown.computeIfAbsent(a.id(), id -> new ArrayList<>());
                Arrays.stream(a.tokens()).forEach(all::add);
            }
            for (StepResult.Finished f : result.finished()) {
                StepResult.Finished e = Objects.requireNonNull(expected.get(f.id()));
                String which = what + " " + asks.get(f.id());
                assertThat(done.add(f.id())).as(which + " ends once").isTrue();
                assertThat(f.tokens()).as(which).isEqualTo(e.tokens());
                assertThat(f.reason()).as(which).isEqualTo(e.reason());
                assertThat(f.stop()).as(which).isEqualTo(e.stop());
                assertThat(bits(f.logprobs())).as(which).isEqualTo(bits(e.logprobs()));
                assertThat(grown.getOrDefault(f.id(), List.of()))
                        .as(which + " grew by what it ends with")
                        .isEqualTo(Arrays.stream(f.tokens()).boxed().toList());
                assertThat(f.stats().generatedTokens()).isEqualTo(f.tokens().length);
            }
        }

        private static List<String> bits(List<Logprobs> all) {
            return all.stream()
                    .map(l -> l.token() + " " + l.logprob() + " " + Arrays.toString(l.topTokens()) + " "
                            + Arrays.toString(l.topLogprobs()))
                    .toList();
        }

        /** Cancels one sequence; what it has is the beginning of what it would have got. */
        private void cancel() {
            List<SequenceSnapshot> all = engine.snapshot(CheckpointPolicy.TOKENS, 0);
            if (all.isEmpty()) {
                return;
            }
            String id = all.get(dice.below(all.size())).id();
            StepResult.Finished f = Objects.requireNonNull(engine.cancel(id));
            int[] whole = Objects.requireNonNull(expected.get(id)).tokens();
            assertThat(f.tokens()).as(what + " " + id).isEqualTo(Arrays.copyOf(whole, f.tokens().length));
            assertThat(f.reason()).isEqualTo(FinishReason.ABORT);
            assertThat(engine.cancel(id)).isNull();
            assertThat(done.add(id)).isTrue();
        }

        /** Goes on in another engine, as after a failure. */
        private void restore() {
            List<SequenceSnapshot> all = engine.snapshot(CheckpointPolicy.values()[dice.below(3)], 4096);
            all.forEach(s -> engine.cancel(s.id()));
            List<StepResult.Finished> refused =
                    engine.isIdle() ? List.of() : engine.step().finished();
            refused.forEach(f -> done.add(f.id()));
            engine = new Engine(model, config);
            for (SequenceSnapshot s : all) {
                Ask ask = Objects.requireNonNull(asks.get(s.id()));
                engine.restore(s, ask.stop(s.output().length));
            }
        }
    }
}
