package dev.freshet.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.engine.Engine;
import dev.freshet.engine.EngineConfig;
import dev.freshet.engine.GenerationRequest;
import dev.freshet.engine.StepResult;
import dev.freshet.engine.StopCondition;
import dev.freshet.kernel.Kernels;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.request.ConfigError;
import dev.freshet.request.PromptRequest;
import dev.freshet.request.RequestError;
import dev.freshet.request.RequestLimits;
import dev.freshet.request.RequestValidator;
import dev.freshet.request.Validated;
import dev.freshet.schema.Prompt;
import dev.freshet.tokenizer.TextStream;
import dev.freshet.tokenizer.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Generates from one prompt in the terminal. */
@Command(
        name = "generate",
        description =
                "Generates from one prompt: streams the text, ends with tokens/s and acceptance on standard error.")
final class GenerateCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Mixin
    private ModelOption model = new ModelOption();

    @Mixin
    private SamplingOption sampling = new SamplingOption();

    @Parameters(
            paramLabel = "PROMPT",
            arity = "0..1",
            description = "Text to continue; may be empty where the model has a begin token.")
    private @Nullable String prompt;

    @Option(
            names = "--prompt-ids",
            split = ",",
            paramLabel = "ID",
            description = "Token ids instead of a prompt; needs no tokenizer.")
    private @Nullable List<Integer> promptIds;

    @Option(names = "--print-ids", description = "Print token ids, separated by commas, instead of text.")
    private boolean printIds;

    @Option(
            names = {"-q", "--quiet"},
            description = "Print the completion alone, without a line end.")
    private boolean quiet;

    @Option(
            names = "--stats",
            paramLabel = "FORMAT",
            description = "json: one JSON object of counts and rates as the last line of standard error.")
    private @Nullable String stats;

    GenerateCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        if (stats != null && !stats.equals("json")) {
            throw new ConfigError("Cannot report: --stats expected json, got " + stats + ".");
        }
        if ((prompt == null) == (promptIds == null)) {
            throw new ConfigError("Cannot generate: expected a prompt or --prompt-ids, got "
                    + (prompt == null ? "neither" : "both") + ". Write the prompt in quotes after the options.");
        }
        Path path = model.directory();
        try (ModelDirectory directory = ModelDirectory.open(path);
                Kernels kernels = model.openKernels();
                @Nullable Tokenizer tokenizer = tokenizer(path);
                Decoder decoder = model.load(
                        directory,
                        kernels,
                        DecoderOptions.of(1).withContext(model.context()).withWeights(model.weights()),
                        terminal)) {
            if (!quiet) {
                terminal.note(kernels.describe());
            }
            return run(directory, tokenizer, decoder);
        }
    }

    private @Nullable Tokenizer tokenizer(Path path) {
        boolean needed = prompt != null || !printIds;
        return needed || Files.exists(path.resolve(Tokenizer.FILE)) ? Tokenizer.load(path) : null;
    }

    private int run(ModelDirectory directory, @Nullable Tokenizer tokenizer, Decoder decoder) {
        int[] ids = ids(directory, tokenizer);
        PromptRequest request = request(ids, decoder);
        Set<Integer> stops = new HashSet<>(request.params().stopTokenIds());
        if (!request.params().ignoreEos()) {
            stops.addAll(directory.endTokens());
        }
        TextStream text = tokenizer == null ? null : new TextStream(tokenizer, request.params(), ids, stops);
        StopCondition stop = text == null ? StopCondition.NONE : text;
        Engine engine =
                new Engine(decoder, EngineConfig.of(1, directory.endTokens()).withStepTimer(System::nanoTime));
        long start = System.nanoTime();
        engine.submit(new GenerationRequest("prompt", ids, request.params(), stop, model.speculation(), 0));
        long first = 0;
        boolean any = false;
        while (true) {
            StepResult step = engine.step();
            for (StepResult.Accepted accepted : step.accepted()) {
                first = first == 0 ? System.nanoTime() : first;
                if (printIds) {
                    String list = Arrays.stream(accepted.tokens())
                            .mapToObj(String::valueOf)
                            .collect(Collectors.joining(","));
                    terminal.out().print((any ? "," : "") + list);
                    any = true;
                }
            }
            if (!step.finished().isEmpty()) {
                return finish(step.finished().get(0), text, new long[] {start, first, System.nanoTime()});
            }
            if (text != null && !printIds) {
                terminal.out().print(text.drain());
                terminal.out().flush();
            }
        }
    }

    private int[] ids(ModelDirectory directory, @Nullable Tokenizer tokenizer) {
        if (promptIds != null) {
            return promptIds.stream().mapToInt(Integer::intValue).toArray();
        }
        int[] ids = tokenizer == null || prompt == null ? new int[0] : tokenizer.encode(prompt);
        if (ids.length > 0) {
            return ids;
        }
        Integer begin = directory.beginToken();
        if (begin == null) {
            throw new ConfigError(
                    "Cannot generate: expected a prompt with at least one token, got an empty one, and the model has no"
                            + " begin token. Give a prompt.");
        }
        return new int[] {begin};
    }

    private PromptRequest request(int[] ids, Decoder decoder) {
        // The builder knows the defaults of the fields, the constructor does not.
        Prompt record = Prompt.newBuilder().build();
        record.setPromptTokenIds(Arrays.stream(ids).boxed().toList());
        sampling.fill(record);
        RequestValidator validator = new RequestValidator(RequestLimits.defaults());
        Validated validated = validator.validate(record, "prompt", 0);
        if (validated instanceof Validated.Invalid invalid) {
            throw new ConfigError(invalid.error().message());
        }
        PromptRequest request = ((Validated.Accepted) validated).request();
        RequestError error = RequestValidator.checkTokens(request, decoder.vocabSize());
        error = error == null ? validator.checkLength("prompt", ids.length, decoder.contextLength()) : error;
        if (error != null) {
            throw new ConfigError(error.message());
        }
        return request;
    }

    private int finish(StepResult.Finished finished, @Nullable TextStream text, long[] times) {
        if (text != null && !printIds) {
            text.finish();
            terminal.out().print(text.drain());
        }
        if (!quiet) {
            terminal.out().println();
        }
        terminal.out().flush();
        RequestError error = finished.error();
        if (error != null) {
            terminal.note("freshet: " + error.message());
        }
        int generated = finished.stats().generatedTokens();
        double seconds = (times[2] - times[0]) / 1e9;
        double decode = Math.max(1e-9, (times[2] - times[1]) / 1e9);
        double rate = generated > 1 ? (generated - 1) / decode : 0;
        int drafts = finished.stats().drafts();
        double length = drafts == 0 ? 1 : 1 + (double) finished.stats().acceptedDraftTokens() / drafts;
        if (stats != null) {
            terminal.note(json(finished, seconds, (times[1] - times[0]) / 1e6, rate, length));
        } else if (!quiet) {
            terminal.note(String.format(
                    Locale.ROOT,
                    "%d prompt + %d generated tokens, first after %.0f ms, then %.1f tokens/s%s, ended by %s",
                    finished.stats().promptTokens(),
                    generated,
                    (times[1] - times[0]) / 1e6,
                    rate,
                    drafts == 0 ? "" : String.format(Locale.ROOT, ", %.2f tokens a draft", length),
                    finished.reason().name().toLowerCase(Locale.ROOT)));
        }
        return error == null ? 0 : Freshet.FAILED;
    }

    private static String json(
            StepResult.Finished finished, double seconds, double firstMillis, double rate, double length) {
        ObjectMapper mapper = new ObjectMapper();
        ObjectNode node = mapper.createObjectNode();
        node.put("prompt_tokens", finished.stats().promptTokens());
        node.put("completion_tokens", finished.stats().generatedTokens());
        node.put("finish_reason", finished.reason().name().toLowerCase(Locale.ROOT));
        node.put("seconds", seconds);
        node.put("time_to_first_token_ms", firstMillis);
        node.put("tokens_per_second", rate);
        node.put("spec_num_drafts", finished.stats().drafts());
        node.put("spec_num_draft_tokens", finished.stats().draftTokens());
        node.put("spec_num_accepted_tokens", finished.stats().acceptedDraftTokens());
        node.put("mean_acceptance_length", length);
        try {
            return mapper.writeValueAsString(node);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }
}
