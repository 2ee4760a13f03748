package dev.freshet.cli;

import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.LayerAttention;
import dev.freshet.model.ModelConfig;
import dev.freshet.model.ModelDirectory;
import dev.freshet.model.RandomWeights;
import dev.freshet.request.ConfigError;
import dev.freshet.tensor.DType;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options that name the model of a benchmark: a directory, or made-up weights of a shape. */
final class BenchOption {

    private static final long SEED = 1;

    @Mixin
    private ModelOption model = new ModelOption();

    @Option(
            names = "--shape",
            paramLabel = "SHAPE",
            description = "Random weights of a shape instead of --model: 15m, 110m or 1b.")
    private @Nullable String shape;

    @Option(
            names = "--attention",
            paramLabel = "KIND",
            defaultValue = "relu",
            description = "Attention of --shape, as in config.json. Default: relu.")
    private String attention = "relu";

    @Option(names = "--augmented", description = "The augmented form of --attention.")
    private boolean augmented;

    @Option(
            names = "--batch",
            split = ",",
            paramLabel = "N",
            defaultValue = "1,8,32",
            description = "Sequences decoded together. Default: 1,8,32.")
    private List<Integer> batches = List.of();

    @Option(names = "--json", paramLabel = "FILE", description = "Write the results as JSON as well.")
    private @Nullable Path json;

    /** Numbers of sequences to measure, at least one, each at least 1. */
    List<Integer> batches() {
        return batches;
    }

    /** The file for the results, or null. */
    @Nullable
    Path json() {
        return json;
    }

    /** The options of every command with a model. */
    ModelOption model() {
        return model;
    }

    /** The model directory, or null for made-up weights. */
    @Nullable
    Path directory() {
        return shape == null ? model.directory() : null;
    }

    /** Opens the model, hands it to the benchmark and closes it. */
    void open(Consumer<BenchModel> benchmark) {
        if (batches.isEmpty() || batches.stream().anyMatch(b -> b < 1)) {
            throw new ConfigError("Cannot measure: --batch expected at least 1, got " + batches + ". Correct it.");
        }
        if (shape == null) {
            try (ModelDirectory directory = ModelDirectory.open(model.directory())) {
                benchmark.accept(new BenchModel(
                        String.valueOf(directory.path().getFileName()),
                        directory.config(),
                        directory.weights(),
                        model.weights(),
                        directory.endTokens()));
            }
            return;
        }
        AttentionKind kind = AttentionKind.of(attention);
        if (augmented && !kind.augmentable()) {
            throw new ConfigError("Cannot measure: " + attention + " has no augmented form. Leave --augmented out.");
        }
        ModelConfig config = BenchShape.of(shape).config(new LayerAttention(kind, augmented));
        RandomWeights random = new RandomWeights(config, DType.F32, SEED);
        benchmark.accept(
                new BenchModel(shape + " with random weights", config, random, model.weights(), java.util.Set.of()));
    }
}
