package dev.freshet.job;

import dev.freshet.operator.DirectoryModel;
import dev.freshet.operator.OfflineServing;
import dev.freshet.operator.ServedModel;
import dev.freshet.request.ConfigError;
import dev.freshet.request.SpeculationMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Offline generation from a file of OpenAI batch lines in one process: resumable at any moment, each line answered once. Confined
 * to one thread.
 */
public final class BatchJob {

    private final Options options;
    private final Clock clock;

    /**
     * What to do.
     *
     * @param input file of request lines
     * @param output directory for the answers
     * @param model what to load
     * @param slots sequences that decode together
     * @param speculation drafting mode of requests that name none
     * @param names names of the model that requests may use beside its own
     * @param metrics whether answers carry their times
     */
    public record Options(
            Path input,
            Path output,
            DirectoryModel model,
            int slots,
            SpeculationMode speculation,
            Set<String> names,
            boolean metrics) {

        public Options {
            names = Set.copyOf(names);
        }
    }

    /**
     * How far a batch is, or what it came to.
     *
     * @param lines lines of the input, blank ones included
     * @param earlier lines answered by earlier runs
     * @param completed lines that this run completed
     * @param failed lines that this run answered with an error
     * @param failures their number by error code
     * @param promptTokens tokens of their prompts
     * @param tokens tokens generated for them
     * @param seconds duration of this run so far, loading not counted
     * @param slotFill share of slots that had a sequence, until no line was left to give them
     */
    public record Progress(
            long lines,
            long earlier,
            long completed,
            long failed,
            Map<String, Long> failures,
            long promptTokens,
            long tokens,
            double seconds,
            double slotFill) {

        public Progress {
            failures = Map.copyOf(failures);
        }
    }

    /** Creates a job; clock gives the time that answers carry. */
    public BatchJob(Options options, Clock clock) {
        this.options = options;
        this.clock = clock;
    }

    /**
     * Answers every line that has no answer yet.
     *
     * @param loaded called with one sentence about what will run
     * @param watcher called after every step
     * @throws ConfigError when input, output or model cannot be used
     */
    public Progress run(Consumer<String> loaded, Consumer<Progress> watcher) throws IOException {
        Path file = options.input;
        if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
            throw new ConfigError("Cannot read the requests: no readable file (" + file + "). Check --input.");
        }
        BatchManifest.Input input = BatchManifest.Input.of(file);
        try (BatchOutput output = new BatchOutput(options.output);
                ServedModel served = options.model.load(options.slots)) {
            BatchManifest manifest = manifest(input, served).claim(options.output);
            loaded.accept(served.name() + " with the " + served.backend() + " kernels, " + options.slots + " slots, "
                    + manifest.lines() + " lines"
                    + (output.answers() == 0 ? "" : ", of which " + output.answers() + " are answered already"));
            return run(output, served, manifest, watcher);
        }
    }

    private BatchManifest manifest(BatchManifest.Input input, ServedModel served) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("input", "sha256:" + input.sha256());
        facts.put("model", served.fingerprint());
        facts.put("kernels", served.backend());
        facts.put(
                "weights",
                options.model.weights() == null
                        ? "as stored"
                        : options.model.weights().name());
        facts.put("context", String.valueOf(served.model().contextLength()));
        facts.put("chat format", options.model.chatFormat());
        // Every mode but this one gives the same texts.
        facts.put("typical acceptance", String.valueOf(options.speculation == SpeculationMode.TYPICAL));
        return new BatchManifest(
                clock.instant().getEpochSecond(), String.valueOf(options.input.getFileName()), input.lines(), facts);
    }

    private Progress run(BatchOutput output, ServedModel served, BatchManifest manifest, Consumer<Progress> watcher)
            throws IOException {
        OfflineServing serving =
                new OfflineServing(served, manifest.source(), options.slots, options.speculation, options.names);
        BatchRun run = new BatchRun(serving, output, manifest, options.metrics, System::nanoTime);
        int earlier = output.answers();
        long start = System.nanoTime();
        try (BatchInput lines = new BatchInput(options.input, BatchRequests.LINE_BYTES)) {
            BatchRun.Counts counts = run.run(lines, c -> watcher.accept(progress(manifest, earlier, c, start)));
            return progress(manifest, earlier, counts, start);
        }
    }

    private static Progress progress(BatchManifest manifest, int earlier, BatchRun.Counts c, long start) {
        return new Progress(
                manifest.lines(),
                earlier,
                c.completed,
                c.failed,
                c.failures,
                c.promptTokens,
                c.tokens,
                (System.nanoTime() - start) / 1e9,
                c.possibleSlots == 0 ? 1 : (double) c.fullSlots / c.possibleSlots);
    }
}
