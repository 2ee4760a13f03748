package dev.freshet.engine;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.kernel.GoldenTensors;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.Tolerances;
import dev.freshet.model.Batch;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.io.IOException;
import java.io.InputStream;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whole tiny models of the golden data: logits, greedy and sampled tokens, accepted lengths of tree drafts. */
public abstract class GoldenModelContract {

    protected abstract Kernels open();

    protected static Stream<String> models() {
        List<String> out = new ArrayList<>();
        GoldenTensors.json("index.json").get("models").forEach(m -> out.add(m.asText()));
        return out.stream();
    }

    /** The model's folder; a copy of it where the golden data comes in a jar, as it does for other modules. */
    static Path directory(String model) {
        try {
            URL config =
                    Objects.requireNonNull(GoldenModelContract.class.getResource("/golden/" + model + "/config.json"));
            if (config.getProtocol().equals("file")) {
                return Path.of(config.toURI()).resolveSibling(".").normalize();
            }
            Path copy = Files.createTempDirectory("golden");
            copy.toFile().deleteOnExit();
            for (String name : List.of("config.json", "model.safetensors")) {
                Path file = copy.resolve(name);
                file.toFile().deleteOnExit();
                try (InputStream in = new URL(config, name).openStream()) {
                    Files.copy(in, file);
                }
            }
            return copy;
        } catch (IOException | URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void logitsOfThePrompt(String name) {
        JsonNode cases = GoldenTensors.json(name + "/cases.json");
        GoldenTensors expected = GoldenTensors.load(name + "/expected.safetensors");
        int[] prompt = ints(cases.get("logits_prompt"));
        int[] wanted = ints(cases.get("logit_rows"));
        try (ModelDirectory directory = ModelDirectory.open(directory(name));
                Decoder model = Decoder.load(directory, open(), DecoderOptions.of(1))) {
            Batch batch = new Batch(1, model.maxRows(), model.maxLogitRows());
            Paths paths = new Paths(1, model.maxRows());
            int v = model.vocabSize();
            float[] hidden = new float[model.hiddenSize()];
            int row = 0;
            for (int t = 0; t < prompt.length; t++) {
                batch.clear();
                batch.addChunk(0, prompt, t, 1, true);
                model.forward(batch);
                if (row < wanted.length && wanted[row] == t) {
                    for (int i = 0; i < v; i++) {
                        double want = expected.values("logits")[row * v + i];
                        Tolerances.LOGITS.check(model.logits()[i], want, name + " logit " + i + " of row " + t);
                    }
                    row++;
                }
                model.hidden(0, hidden);
                paths.clear();
                paths.add(0, new int[1], 1);
                model.commit(paths);
            }
            assertThat(row).isEqualTo(wanted.length);
            float[] medusa = new float[model.medusaHeads() * v];
            model.medusaLogits(hidden, 1, medusa);
            for (int i = 0; i < medusa.length; i++) {
                Tolerances.LOGITS.check(medusa[i], expected.values("medusa_logits")[i], name + " medusa logit " + i);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void generatedTokensAndAcceptedLengths(String name) {
        JsonNode cases = GoldenTensors.json(name + "/cases.json");
        for (SpeculationMode mode : List.of(SpeculationMode.OFF, SpeculationMode.TREE, SpeculationMode.LOOKUP)) {
            try (ModelDirectory directory = ModelDirectory.open(directory(name));
                    Decoder model = Decoder.load(directory, open(), new DecoderOptions(3, 512, 256, 0, null))) {
                Engine engine = new Engine(model, EngineConfig.of(16, Set.of()));
                Map<String, JsonNode> pending = new HashMap<>();
                for (JsonNode c : cases.get("generate")) {
                    String id = "case " + pending.size();
                    pending.put(id, c);
                    engine.submit(
                            new GenerationRequest(id, ints(c.get("prompt")), params(c), StopCondition.NONE, mode, 0));
                }
                run(name, mode, engine, pending);
            }
        }
    }

    private static void run(String name, SpeculationMode mode, Engine engine, Map<String, JsonNode> pending) {
        Map<String, List<Integer>> runs = new HashMap<>();
        Set<String> open = new HashSet<>(pending.keySet());
        while (!engine.isIdle()) {
            StepResult step = engine.step();
            step.accepted().forEach(a -> runs.computeIfAbsent(a.id(), id -> new ArrayList<>())
                    .add(a.tokens().length));
            for (StepResult.Finished f : step.finished()) {
                JsonNode c = Objects.requireNonNull(pending.get(f.id()));
                String what = name + " " + mode + " " + f.id();
                assertThat(f.tokens()).as(what).isEqualTo(ints(c.get("tokens")));
                open.remove(f.id());
                if (mode == SpeculationMode.TREE) {
                    assertThat(accepted(
                                    Objects.requireNonNull(runs.get(f.id())), f, ints(c.get("accepted_within_group"))))
                            .as(what + " accepted lengths")
                            .isEqualTo(ints(c.get("accepted_within_group")));
                }
            }
        }
        assertThat(open).isEmpty();
    }

    /**
     * The reference counts the root of each verification; the engine reports a root in the step that draws it, so its runs are one
     * ahead: the first run is the first root alone, and a last run that ends with a drawn token is a root that is never verified.
     */
    private static int[] accepted(List<Integer> runs, StepResult.Finished f, int[] expected) {
        List<Integer> out = new ArrayList<>();
        for (int i = 1; i < runs.size(); i++) {
            out.add(runs.get(i));
        }
        int verified = out.stream().mapToInt(Integer::intValue).sum();
        // The last run holds either its guesses alone (the last one ended the sequence) or one drawn root more.
        boolean endsWithRoot = f.stats().acceptedDraftTokens() != verified - out.size() + 1;
        if (endsWithRoot) {
            out.add(1);
        } else {
            out.set(out.size() - 1, out.get(out.size() - 1) + 1);
        }
        assertThat(out.stream().mapToInt(Integer::intValue).sum()).isEqualTo(f.tokens().length);
        assertThat(expected).isNotEmpty();
        return out.stream().mapToInt(Integer::intValue).toArray();
    }

    static SamplingParams params(JsonNode c) {
        JsonNode s = c.get("sampling");
        Map<Integer, Double> bias = new HashMap<>();
        s.get("logit_bias")
                .fields()
                .forEachRemaining(
                        e -> bias.put(Integer.valueOf(e.getKey()), e.getValue().asDouble()));
        List<Integer> stop = new ArrayList<>();
        c.get("stop").forEach(t -> stop.add(t.asInt()));
        return SamplingParams.builder()
                .maxTokens(c.get("max_new_tokens").asInt())
                .temperature(s.get("temperature").asDouble())
                .topK(s.get("top_k").asInt())
                .topP(s.get("top_p").asDouble())
                .minP(s.get("min_p").asDouble())
                .repetitionPenalty(s.get("repetition_penalty").asDouble())
                .presencePenalty(s.get("presence_penalty").asDouble())
                .frequencyPenalty(s.get("frequency_penalty").asDouble())
                .logitBias(bias)
                .stopTokenIds(stop)
                .seed(s.get("seed").asLong())
                .build();
    }

    static int[] ints(JsonNode array) {
        int[] out = new int[array.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = array.get(i).asInt();
        }
        return out;
    }
}
