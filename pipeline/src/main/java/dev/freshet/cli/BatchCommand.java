package dev.freshet.cli;

import dev.freshet.job.BatchJob;
import dev.freshet.job.ClusterBatch;
import dev.freshet.operator.DirectoryModel;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Generates offline for a file of requests. */
@Command(
        name = "batch",
        description = {
            "Answers a file of OpenAI batch lines: DIR/output.jsonl, and DIR/errors.jsonl for lines that fail.",
            "Started again after an interruption it goes on where it was; answers come in order of completion."
        })
final class BatchCommand implements Callable<Integer> {

    private static final double SECONDS_A_STATUS = 0.5;
    private static final double SECONDS_A_NOTE = 10;
    private static final double MEMORY_SECONDS = 15;
    private static final int BAR = 24;
    private static final double SHORTEST_INTERVAL = 0.1;

    private final Terminal terminal;

    @Mixin
    private ModelOption model = new ModelOption();

    @Option(
            names = "--input",
            required = true,
            paramLabel = "FILE",
            description = "JSON lines: custom_id, method, url and body as in OpenAI batches, or bare bodies.")
    private Path input = Path.of("");

    @Option(
            names = "--output",
            required = true,
            paramLabel = "DIR",
            description = "Directory for answers; made if missing, gone on with if it belongs to this batch.")
    private Path output = Path.of("");

    @Option(
            names = "--slots",
            paramLabel = "N",
            defaultValue = "32",
            description = "Sequences that decode together. Default: 32.")
    private int slots;

    @Option(
            names = "--chat-format",
            paramLabel = "ID",
            defaultValue = "plain",
            description = "Chat format of conversations that name none. Default: plain.")
    private String chatFormat = "plain";

    @Option(
            names = "--served-model-name",
            paramLabel = "NAME",
            description = "Name of the model that requests may use beside that of its directory; * takes every name."
                    + " May be repeated.")
    private List<String> names = List.of();

    @Option(names = "--metrics", description = "Add times and draft counts to answers; they differ from run to run.")
    private boolean metrics;

    @Option(
            names = "--cluster",
            arity = "0..1",
            fallbackValue = "",
            paramLabel = "HOST:PORT",
            description =
                    "Run as a Flink job: on the session cluster with this REST address, which must find input, output and"
                            + " model under the same paths, or without an address on a cluster in this process. Answers are"
                            + " committed with checkpoints, as files in DIR/output and DIR/errors.")
    private @Nullable String cluster;

    @Option(
            names = "--parallelism",
            paramLabel = "N",
            defaultValue = "1",
            description = "With --cluster: subtasks, each with a model and slots of its own. Default: 1.")
    private int parallelism;

    @Option(
            names = "--checkpoint-interval",
            paramLabel = "SECONDS",
            defaultValue = "10",
            description = "With --cluster: time between two checkpoints. Default: 10.")
    private double interval;

    @Option(
            names = "--jar",
            paramLabel = "FILE",
            description =
                    "With --cluster HOST:PORT: the job's code; not needed where the cluster has it in its lib folder.")
    private @Nullable Path jar;

    private double shown = -1;
    private long shownLines;
    private double lineRate;

    BatchCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Exception {
        if (slots < 1) {
            throw new ConfigError("Cannot start the batch: --slots expected at least 1, got " + slots + ".");
        }
        DirectoryModel directory = new DirectoryModel(
                model.directory().toString(),
                model.kernelsName(),
                model.threads(),
                model.context(),
                model.weights(),
                chatFormat);
        BatchJob.Progress end = cluster == null ? inThisProcess(directory) : onCluster(directory, cluster);
        terminal.clearStatus();
        summarize(end);
        return 0;
    }

    private BatchJob.Progress inThisProcess(DirectoryModel directory) throws IOException {
        BatchJob.Options options = new BatchJob.Options(
                input, output, directory, slots, model.speculation(), new HashSet<>(names), metrics);
        return new BatchJob(options, Clock.systemUTC()).run(terminal::note, this::show);
    }

    private BatchJob.Progress onCluster(DirectoryModel directory, String address) throws Exception {
        if (parallelism < 1 || !(interval >= SHORTEST_INTERVAL)) {
            throw new ConfigError("Cannot start the batch: expected a --parallelism of at least 1 and a"
                    + " --checkpoint-interval of at least " + SHORTEST_INTERVAL + ", got " + parallelism + " and "
                    + interval
                    + ". Correct the options.");
        }
        ClusterBatch.Options options = new ClusterBatch.Options(
                input,
                output,
                directory,
                parallelism,
                slots,
                model.speculation(),
                new HashSet<>(names),
                metrics,
                Duration.ofMillis(Math.round(interval * 1000)),
                address.isEmpty() ? null : address,
                jar);
        try {
            return new ClusterBatch(options, Clock.systemUTC()).run(terminal::note, this::show, WorkDirectory.get());
        } finally {
            WorkDirectory.deleteAllButTheLog();
        }
    }

    private void show(BatchJob.Progress p) {
        double pause = terminal.errIsTerminal() ? SECONDS_A_STATUS : SECONDS_A_NOTE;
        if (shown < 0) {
            shown = 0;
        }
        if (p.seconds() - shown < pause) {
            return;
        }
        follow(p.completed() + p.failed(), p.seconds() - shown);
        shown = p.seconds();
        long done = p.earlier() + p.completed() + p.failed();
        double share = p.lines() == 0 ? 1 : (double) done / p.lines();
        String text = String.format(
                Locale.ROOT,
                "%,d of %,d lines (%.0f %%), %,.1f lines/s,%s %s left",
                done,
                p.lines(),
                100 * share,
                lineRate,
                p.tokens() == 0 ? "" : String.format(Locale.ROOT, " %,.0f tokens/s,", p.tokens() / p.seconds()),
                left(lineRate, p.lines() - done));
        if (terminal.errIsTerminal()) {
            int full = (int) Math.round(BAR * Math.min(1, share));
            terminal.status("[" + "#".repeat(full) + "-".repeat(BAR - full) + "] " + text);
        } else {
            terminal.note(text);
        }
    }

    /** The rate of about the last quarter of a minute: that of the start, before the compiler is done, says nothing about the rest. */
    private void follow(long lines, double seconds) {
        double recent = (lines - shownLines) / seconds;
        lineRate = lineRate == 0 ? recent : lineRate + (1 - Math.exp(-seconds / MEMORY_SECONDS)) * (recent - lineRate);
        shownLines = lines;
    }

    private static String left(double rate, long lines) {
        if (rate <= 0) {
            return "unknown time";
        }
        long seconds = Math.round(lines / rate);
        return seconds >= 3600
                ? String.format(Locale.ROOT, "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60)
                : String.format(Locale.ROOT, "%d:%02d", seconds / 60, seconds % 60);
    }

    private void summarize(BatchJob.Progress end) {
        line("lines", "%,d, of which %,d were answered before", end.lines(), end.earlier());
        line("completed", "%,d", end.completed());
        line(
                "failed",
                "%,d%s",
                end.failed(),
                end.failures().entrySet().stream()
                        .sorted(Map.Entry.comparingByKey())
                        .map(e -> ", " + e.getKey() + " " + e.getValue())
                        .collect(Collectors.joining()));
        line("tokens", "%,d generated, %,d of prompts", end.tokens(), end.promptTokens());
        line("time", "%.1f s, %,.1f tokens/s", end.seconds(), end.tokens() / Math.max(1e-9, end.seconds()));
        if (!Double.isNaN(end.slotFill())) {
            line("slots", "%.1f %% full until the last line was under way", 100 * end.slotFill());
        }
        line("answers", "%s", output);
    }

    private void line(String name, String format, Object... values) {
        terminal.out().printf("%-18s %s%n", name, String.format(Locale.ROOT, format, values));
    }
}
