package dev.freshet.cli;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.request.ConfigError;
import dev.freshet.request.SpeculationMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that every command with a model shares. */
final class ModelOption {

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "Model directory in Hugging Face layout. Default: models/freshet-tiny of the installation.")
    private @Nullable Path directory;

    @Option(
            names = "--kernels",
            paramLabel = "NAME",
            defaultValue = "auto",
            description = "Backend: auto, reference, vector or cuda. Only auto falls back. Default: auto.")
    private String kernels = "auto";

    @Option(
            names = "--speculative",
            paramLabel = "MODE",
            defaultValue = "auto",
            description =
                    "Drafting: auto, off, tree, lookup or typical. Only typical may change the text. Default: auto.")
    private SpeculationMode speculation = SpeculationMode.AUTO;

    @Option(
            names = "--threads",
            paramLabel = "N",
            defaultValue = "0",
            description = "Threads of the backend, 0 for one per core. Default: 0.")
    private int threads;

    @Option(
            names = "--context",
            paramLabel = "N",
            defaultValue = "0",
            description = "Longest sequence, where the model has a limit; 0 for the model's own. Default: 0.")
    private int context;

    @Option(
            names = "--weights",
            paramLabel = "FORMAT",
            description = "Weights in memory: f32, bf16 or int8. Default: as in the file.")
    private @Nullable WeightFormat weights;

    /**
     * The directory that was given, or that of the demo model.
     *
     * @throws ConfigError when there is neither
     */
    Path directory() {
        if (directory != null) {
            return directory;
        }
        Path own = Path.of(System.getProperty("freshet.home", ".")).resolve("models/freshet-tiny");
        if (!Files.isDirectory(own)) {
            throw new ConfigError("Cannot start without a model: expected --model DIR or a directory " + own
                    + ", got neither. Download any Llama- or GPT-2-architecture model in Hugging Face layout (config.json,"
                    + " model.safetensors, tokenizer.json), for example from huggingface.co, and name its directory with"
                    + " --model.");
        }
        return own;
    }

    /**
     * Writes the options into the keys of a job.
     *
     * @param given tells which options were given; the others leave the keys alone, but a model there must be
     */
    void overlay(Map<String, String> values, Predicate<String> given) {
        if (given.test("--model") || !values.containsKey("model.directory")) {
            values.put("model.directory", directory().toString());
        }
        put(values, given, "--kernels", "model.kernels", kernels);
        put(values, given, "--speculative", "model.speculative", speculation.name());
        put(values, given, "--threads", "model.threads", String.valueOf(threads));
        put(values, given, "--context", "model.context", String.valueOf(context));
        put(values, given, "--weights", "model.weights", String.valueOf(weights));
    }

    private static void put(
            Map<String, String> values, Predicate<String> given, String option, String key, String value) {
        if (given.test(option)) {
            values.put(key, value.toLowerCase(Locale.ROOT));
        }
    }

    String kernelsName() {
        return kernels;
    }

    Kernels openKernels() {
        return KernelsProvider.select(kernels, threads());
    }

    /** Loads a model; a terminal shows how far it is. */
    Decoder load(ModelDirectory from, Kernels on, DecoderOptions options, Terminal terminal) {
        int all = from.config().layers().size();
        return Decoder.load(from, on, options, layers -> {
            if (terminal.errIsTerminal()) {
                terminal.status("Loading layer " + layers + " of " + all);
                if (layers == all) {
                    terminal.clearStatus();
                }
            }
        });
    }

    SpeculationMode speculation() {
        return speculation;
    }

    int threads() {
        return threads > 0 ? threads : Runtime.getRuntime().availableProcessors();
    }

    int context() {
        return context;
    }

    @Nullable
    WeightFormat weights() {
        return weights;
    }
}
