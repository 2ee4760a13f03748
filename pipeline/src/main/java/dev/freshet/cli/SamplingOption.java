package dev.freshet.cli;

import dev.freshet.request.ConfigError;
import dev.freshet.schema.Prompt;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Sampling parameters on the command line: the names of the records with dashes, checked by the same rules. */
final class SamplingOption {

    private static final String GROUP = "N";

    @Option(
            names = "--max-tokens",
            paramLabel = GROUP,
            defaultValue = "256",
            description = "Most generated tokens. Default: 256.")
    private long maxTokens;

    @Option(names = "--min-tokens", paramLabel = GROUP, description = "Nothing ends the text before this many tokens.")
    private @Nullable Long minTokens;

    @Option(names = "--temperature", paramLabel = "T", description = "0 takes the most probable token. Default: 1.")
    private @Nullable Double temperature;

    @Option(names = "--top-p", paramLabel = "P", description = "Nucleus mass, above 0 to 1. Default: 1.")
    private @Nullable Double topP;

    @Option(
            names = "--top-k",
            paramLabel = GROUP,
            description = "Keep the k most probable tokens; 0 keeps all. Default: 0.")
    private @Nullable Long topK;

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description = "Drop tokens below this share of the most probable one. Default: 0.")
    private @Nullable Double minP;

    @Option(
            names = "--repetition-penalty",
            paramLabel = "R",
            description = "Above 1 discourages tokens seen before. Default: 1.")
    private @Nullable Double repetitionPenalty;

    @Option(
            names = "--presence-penalty",
            paramLabel = "R",
            description = "Subtracted for tokens in the output. Default: 0.")
    private @Nullable Double presencePenalty;

    @Option(
            names = "--frequency-penalty",
            paramLabel = "R",
            description = "Subtracted for each occurrence. Default: 0.")
    private @Nullable Double frequencyPenalty;

    @Option(
            names = "--seed",
            paramLabel = GROUP,
            description = "Key of the random numbers. Default: derived from the request.")
    private @Nullable Long seed;

    @Option(names = "--stop", paramLabel = "TEXT", description = "Text that ends the generation; may be repeated.")
    private List<String> stop = new ArrayList<>();

    @Option(
            names = "--stop-token-ids",
            paramLabel = "ID",
            split = ",",
            description = "Token ids that end the generation.")
    private List<Integer> stopTokenIds = new ArrayList<>();

    @Option(names = "--ignore-eos", description = "Go on after the model's end tokens.")
    private boolean ignoreEos;

    @Option(
            names = "--logprobs",
            paramLabel = GROUP,
            description = "Report log-probabilities of this many alternatives.")
    private @Nullable Long logprobs;

    /** Writes the given parameters into a request. */
    void fill(Prompt request) {
        if (maxTokens < 1) {
            throw new ConfigError("Cannot generate: --max-tokens expected at least 1, got " + maxTokens + ".");
        }
        request.setMaxTokens(maxTokens);
        request.setMinTokens(minTokens);
        request.setTemperature(temperature);
        request.setTopP(topP);
        request.setTopK(topK);
        request.setMinP(minP);
        request.setRepetitionPenalty(repetitionPenalty);
        request.setPresencePenalty(presencePenalty);
        request.setFrequencyPenalty(frequencyPenalty);
        request.setSeed(seed);
        request.setStop(stop);
        request.setStopTokenIds(stopTokenIds);
        request.setIgnoreEos(ignoreEos);
        request.setLogprobs(logprobs);
    }
}
