package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.kernel.ReferenceKernels;
import dev.freshet.kernel.VectorKernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.TestModels;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A sequence that goes on from its saved state, in another engine on another model, gives the same bits and runs no token twice. */
final class SavedStateTest {

    private static final int VOCAB = 90;
    private static final int GROUP = 16;
    private static final int PROMPT = 39;
    private static final int TOKENS = 30;
    private static final EngineConfig CONFIG = new EngineConfig(100, 7, Set.of(1), null);

    @TempDir
    Path folder;

    private final List<AutoCloseable> open = new ArrayList<>();

    private Decoder model(String kind, int slots, boolean reference) {
        Path path = folder.resolve(kind);
        if (!path.resolve("config.json").toFile().exists()) {
            TestModels.write(path, new TestModels.Shape(kind, VOCAB, 2, GROUP, 3, 256, 11 + kind.hashCode()));
        }
        ModelDirectory directory = ModelDirectory.open(path);
        Decoder model = Decoder.load(
                directory, reference ? new ReferenceKernels() : new VectorKernels(1), DecoderOptions.of(slots));
        open.add(model);
        open.add(directory);
        return model;
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable one : open) {
            one.close();
        }
    }

    private static GenerationRequest request(String id, int salt, SpeculationMode mode) {
        int[] prompt = new int[PROMPT];
        // Few different tokens, so that lookups find something.
        Arrays.setAll(prompt, i -> 2 + (i * i + salt) % 7);
        SamplingParams params = SamplingParams.builder()
                .maxTokens(TOKENS)
                .temperature(1)
                .seed(77 + salt)
                .logprobs(1)
                .repetitionPenalty(1.1)
                .ignoreEos(true)
                .build();
        return new GenerationRequest(id, prompt, params, StopCondition.NONE, mode, 0);
    }

    private static String text(StepResult.Finished f) {
        StringBuilder out = new StringBuilder(f.reason() + Arrays.toString(f.tokens()));
        f.logprobs().forEach(l -> out.append(' ').append(l.logprob()));
        return out.toString();
    }

    /** Runs until the sequence ends; returns its text, and the prompt tokens that were run in prompt[0]. */
    private static String drain(Engine engine, String id, int[] prompt) {
        String text = "";
        while (!engine.isIdle()) {
            StepResult step = engine.step();
            prompt[0] += step.stats().promptTokens();
            for (StepResult.Finished f : step.finished()) {
                text = f.id().equals(id) ? text(f) : text;
            }
        }
        return text;
    }

    @ParameterizedTest
    @MethodSource("dev.freshet.engine.EngineEqualityTest#kinds")
    void wherverItIsCutTheTextIsTheSameAndNothingRunsTwice(String kind) {
        everyCut(kind, SpeculationMode.OFF, false, 1);
        everyCut(kind, SpeculationMode.TREE, false, 2);
        everyCut(kind, SpeculationMode.LOOKUP, false, 3);
        everyCut(kind, SpeculationMode.TREE, true, 7);
    }

    private void everyCut(String kind, SpeculationMode mode, boolean reference, int stride) {
        Decoder first = model(kind, 2, reference);
        Decoder second = model(kind, 3, reference);
        Engine whole = new Engine(first, CONFIG);
        whole.submit(request("s", 3, mode));
        String expected = drain(whole, "s", new int[1]);
        Set<Integer> phases = new HashSet<>();
        boolean more = true;
        for (int cut = 0; more; cut += stride) {
            Engine engine = new Engine(first, CONFIG);
            engine.submit(request("s", 3, mode));
            engine.submit(request("neighbour", 5, mode));
            for (int i = 0; i < cut && more; i++) {
                more = engine.step().finished().stream().noneMatch(f -> f.id().equals("s"));
            }
            List<SequenceSnapshot> snapshots = engine.snapshot(CheckpointPolicy.STATE, 0);
            snapshots.forEach(s -> engine.cancel(s.id()));
            if (!more) {
                break;
            }
            Engine next = new Engine(second, CONFIG);
            // The neighbour goes first, so that the sequence gets another slot than it had.
            List<SequenceSnapshot> reversed = new ArrayList<>(snapshots);
            Collections.reverse(reversed);
            int pendingPrompt = 0;
            for (SequenceSnapshot s : reversed) {
                assertThat(next.restore(s, StopCondition.NONE)).isZero();
                pendingPrompt += Math.max(0, PROMPT - s.committed());
                if (s.id().equals("s")) {
                    phases.add(s.committed() == 0 ? -1 : s.committed() % GROUP);
                }
            }
            int[] prompt = new int[1];
            assertThat(drain(next, "s", prompt))
                    .as("%s %s cut after %d steps", kind, mode, cut)
                    .isEqualTo(expected);
            assertThat(prompt[0]).as("prompt tokens run after the restore").isEqualTo(pendingPrompt);
        }
        if (stride == 1) {
            // Waiting, at an edge of a group and within groups: else the test would show less than it says.
            assertThat(phases).contains(-1, 0).hasSizeGreaterThan(12);
        }
    }

    @ParameterizedTest
    @MethodSource("dev.freshet.engine.EngineEqualityTest#kinds")
    void aStateHoldsItsOwnSequenceAloneAndOnlyWhatIsUsed(String kind) {
        Decoder alone = model(kind, 1, false);
        Decoder shared = model(kind, 4, false);
        for (int steps : new int[] {1, 3, 6, 9, 20}) {
            SequenceState lone = state(alone, steps, false);
            SequenceState among = state(shared, steps, true);
            assertThat(bits(among.values())).isEqualTo(bits(lone.values()));
            assertThat(lone.values().length * 4L).isLessThanOrEqualTo(alone.bytesPerSlot());
            if (steps == 1) {
                // Seven tokens: nothing has left the open group, and a cache holds seven keys and values.
                assertThat(lone.values().length * 8L).isLessThan(alone.bytesPerSlot());
            }
        }
    }

    /** State after some steps, among dirty slots or in a fresh model. */
    private static SequenceState state(Decoder model, int steps, boolean neighbours) {
        Engine engine = new Engine(model, CONFIG.withStepTimer(() -> 0));
        if (neighbours) {
            for (int i = 0; i < 4; i++) {
                engine.submit(request("before" + i, 20 + i, SpeculationMode.OFF));
            }
            drain(engine, "", new int[1]);
            assertSlotsAreZero(model);
        }
        engine.submit(request("s", 3, SpeculationMode.OFF));
        for (int i = 0; i < steps; i++) {
            engine.step();
        }
        SequenceState state = Objects.requireNonNull(
                engine.snapshot(CheckpointPolicy.STATE, 0).get(0).state());
        engine.cancel("s");
        assertSlotsAreZero(model);
        return state;
    }

    private static void assertSlotsAreZero(Decoder model) {
        int tokens = 5 * GROUP + GROUP - 1;
        float[] slot = new float[model.stateFloats(tokens)];
        for (int i = 0; i < model.slots(); i++) {
            model.saveState(i, tokens, slot).run();
            assertThat(Arrays.equals(slot, new float[slot.length])).isTrue();
        }
    }

    private static int[] bits(float[] values) {
        int[] out = new int[values.length];
        Arrays.setAll(out, i -> Float.floatToRawIntBits(values[i]));
        return out;
    }

    private static SequenceSnapshot cut(Decoder model, int steps) {
        Engine engine = new Engine(model, CONFIG);
        engine.submit(request("s", 3, SpeculationMode.TREE));
        for (int i = 0; i < steps; i++) {
            engine.step();
        }
        SequenceSnapshot snapshot = engine.snapshot(CheckpointPolicy.STATE, 0).get(0);
        engine.cancel("s");
        return snapshot;
    }

    private static SequenceSnapshot with(SequenceSnapshot s, int committed, @Nullable SequenceState state) {
        return new SequenceSnapshot(
                s.id(),
                s.prompt(),
                s.output(),
                s.params(),
                s.speculation(),
                s.priority(),
                s.logprobs(),
                s.stats(),
                committed,
                state);
    }

    @Test
    void aStateThatDoesNotFitIsComputedAgain() {
        Decoder model = model("relu+", 2, false);
        Engine whole = new Engine(model, CONFIG);
        whole.submit(request("s", 3, SpeculationMode.TREE));
        String expected = drain(whole, "s", new int[1]);
        SequenceSnapshot s = cut(model, 14);
        SequenceState state = Objects.requireNonNull(s.state());
        float[] shorter = Arrays.copyOf(state.values(), state.values().length - 1);
        int length = s.prompt().length + s.output().length;
        List<SequenceSnapshot> strange = List.of(
                with(s, s.committed(), null),
                with(s, s.committed(), new SequenceState("cuda/own/0", state.values(), state.hidden())),
                with(s, s.committed(), new SequenceState(state.model(), shorter, state.hidden())),
                with(s, s.committed(), new SequenceState(state.model(), state.values(), new float[3])),
                with(s, s.committed() + 1, state),
                with(s, length, state),
                with(s, 0, state),
                with(s, -5, state));
        for (SequenceSnapshot one : strange) {
            Engine next = new Engine(model, CONFIG);
            assertThat(next.restore(one, StopCondition.NONE)).isEqualTo(one.committed());
            int[] prompt = new int[1];
            assertThat(drain(next, "s", prompt)).isEqualTo(expected);
            assertThat(prompt[0]).isEqualTo(length);
        }
    }

    @Test
    void statesThatWaitForASlotAreCarriedOn() {
        Decoder wide = model("gla", 6, false);
        Engine engine = new Engine(wide, CONFIG);
        for (int i = 0; i < 6; i++) {
            engine.submit(request("r" + i, i, SpeculationMode.OFF));
        }
        for (int i = 0; i < 45; i++) {
            engine.step();
        }
        List<SequenceSnapshot> snapshots = engine.snapshot(CheckpointPolicy.STATE, 0);
        List<String> expected = new ArrayList<>();
        engine.snapshot(CheckpointPolicy.TOKENS, 0)
                .forEach(s -> assertThat(s.state()).isNull());
        while (!engine.isIdle()) {
            engine.step().finished().forEach(f -> expected.add(f.id() + text(f)));
        }
        Decoder narrow = model("gla", 1, false);
        List<String> texts = new ArrayList<>();
        // Each engine ends one sequence and hands the rest on, most of which never had a slot there.
        while (!snapshots.isEmpty()) {
            Engine one = new Engine(narrow, CONFIG);
            snapshots.forEach(
                    s -> assertThat(one.restore(s, StopCondition.NONE)).isZero());
            int ended = texts.size();
            while (texts.size() == ended) {
                StepResult step = one.step();
                assertThat(step.stats().promptTokens()).isZero();
                step.finished().forEach(f -> texts.add(f.id() + text(f)));
            }
            snapshots = one.snapshot(CheckpointPolicy.STATE, 0);
        }
        assertThat(texts).containsExactlyInAnyOrderElementsOf(expected);
    }

    @Test
    void autoSpendsItsBytesWhereTheySpareTheMostTokens() {
        Decoder model = model("softmax", 3, false);
        Decoder linear = model("relu", 3, false);
        for (Decoder m : List.of(model, linear)) {
            Engine engine = new Engine(m, CONFIG);
            for (int i = 0; i < 3; i++) {
                engine.submit(request("r" + i, i, SpeculationMode.OFF));
            }
            for (int i = 0; i < 11; i++) {
                engine.step();
            }
            List<SequenceSnapshot> all = engine.snapshot(CheckpointPolicy.STATE, 0);
            long total = all.stream()
                    .filter(s -> s.state() != null)
                    .mapToLong(s -> Objects.requireNonNull(s.state()).bytes())
                    .sum();
            assertThat(engine.snapshot(CheckpointPolicy.AUTO, total).stream().map(s -> s.state() != null))
                    .isEqualTo(all.stream().map(s -> s.state() != null).toList());
            assertThat(engine.snapshot(CheckpointPolicy.AUTO, 0)).allMatch(s -> s.state() == null);
            List<SequenceSnapshot> some = engine.snapshot(CheckpointPolicy.AUTO, total - 1);
            assertThat(some.stream()
                            .filter(s -> s.state() != null)
                            .mapToLong(s -> Objects.requireNonNull(s.state()).bytes())
                            .sum())
                    .isBetween(1L, total - 1);
        }
    }
}
