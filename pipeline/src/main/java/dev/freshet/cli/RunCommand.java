package dev.freshet.cli;

import dev.freshet.job.ConfigFile;
import dev.freshet.job.GenerateJob;
import dev.freshet.job.JobOptions;
import dev.freshet.job.LocalJob;
import dev.freshet.job.Preflight;
import dev.freshet.model.ModelDirectory;
import dev.freshet.request.ConfigError;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/** Runs the streaming job against a real broker, on a Flink cluster in this process. */
@Command(
        name = "run",
        description = {
            "Runs the streaming job against a Kafka broker, on a Flink cluster in this process with its dashboard.",
            "Ctrl-C or SIGTERM stops it with a savepoint, and the next start goes on from there; after a crash it goes on from"
                    + " the newest checkpoint. conf/freshet.yaml describes every key."
        })
final class RunCommand implements Callable<Integer> {

    private static final int STANDARD_PORT = 8081;
    private static final long LOOK_MILLIS = 200;

    private final Terminal terminal;

    @Mixin
    private ModelOption model = new ModelOption();

    @Option(names = "--config", paramLabel = "FILE", description = "Configuration: .yaml or .properties.")
    private @Nullable Path config;

    @Option(
            names = {"-D", "--set"},
            paramLabel = "KEY=VALUE",
            description = "One key on top of the file; may be repeated.")
    private Map<String, String> set = new LinkedHashMap<>();

    @Option(
            names = "--port",
            paramLabel = "N",
            defaultValue = "" + STANDARD_PORT,
            description = "Port of the dashboard, on this machine alone; 0 for a free one. Default: ${DEFAULT-VALUE}.")
    private int port;

    @picocli.CommandLine.Spec
    private picocli.CommandLine.Model.@Nullable CommandSpec spec;

    RunCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Exception {
        if (config == null && set.isEmpty()) {
            throw new ConfigError("Cannot start the job: expected --config FILE, got none. Copy conf/freshet.yaml and"
                    + " set kafka.bootstrap.servers in it.");
        }
        JobOptions options = JobOptions.of(values());
        // A directory that cannot be served is refused before anything is started.
        ModelDirectory.open(options.model().directory()).close();
        Signals signals = Signals.interruptThisThread();
        try {
            Preflight.run(options);
            try (LocalJob job = LocalJob.start(options, GenerateJob.model(options), port, WorkDirectory.get())) {
                introduce(options, job);
                return watch(options, job, signals);
            }
        } catch (Exception e) {
            if (signals.raised()) {
                // Nothing ran yet, or it was stopped already: what broke off did so because of the signal.
                return signals.status();
            }
            throw e;
        } finally {
            WorkDirectory.deleteAllButTheLog();
        }
    }

    private Map<String, String> values() {
        Map<String, String> values = new LinkedHashMap<>();
        if (config != null) {
            values.putAll(ConfigFile.read(config, System.getenv()));
        }
        // Before the options too, so that a model named by a key counts as named.
        values.putAll(set);
        ParseResult given = spec == null ? null : spec.commandLine().getParseResult();
        if (given != null) {
            model.overlay(values, name -> given.hasMatchedOption(name));
        }
        values.putAll(set);
        return values;
    }

    private void introduce(JobOptions options, LocalJob job) {
        JobOptions.Output output = options.output();
        JobOptions.Checkpoints checkpoints = options.checkpoints();
        fact("job", options.name());
        fact(
                "model",
                options.model().directory() + ", " + options.parallelism() + " x "
                        + options.engine().slots() + " slots");
        fact("kafka", options.kafka().getOrDefault("bootstrap.servers", ""));
        fact("topics", options.input().topic() + " -> " + output.completions().topic() + ", " + output.deadLetters());
        fact("dashboard", job.dashboard().toString());
        if (checkpoints.directory() == null) {
            fact("checkpoints", "in memory: set checkpoint.directory to go on after this process ends");
        } else {
            fact("checkpoints", checkpoints.directory());
            fact("goes on", job.resumedFrom() == null ? "from nothing, a fresh start" : "from " + job.resumedFrom());
        }
        fact("log", WorkDirectory.log().toString());
        terminal.out().flush();
    }

    private void fact(String name, String value) {
        terminal.out().printf("%-12s %s%n", name, value);
    }

    /** Waits for the end of the job or a signal, and tells what a person has to know meanwhile. */
    private int watch(JobOptions options, LocalJob job, Signals signals) throws Exception {
        LocalJob.Phase before = LocalJob.Phase.STARTING;
        try {
            while (true) {
                LocalJob.Phase now = job.phase();
                if (now != before) {
                    tell(now);
                    before = now;
                }
                if (now == LocalJob.Phase.FINISHED) {
                    return 0;
                } else if (now == LocalJob.Phase.STOPPED) {
                    return Freshet.FAILED;
                } else if (now == LocalJob.Phase.FAILED) {
                    Throwable failure = job.failure();
                    ConfigError configuration = Causes.configuration(failure);
                    throw configuration == null
                            ? new IllegalStateException(Causes.sentence(failure), failure)
                            : configuration;
                }
                Thread.sleep(LOOK_MILLIS);
            }
        } catch (InterruptedException e) {
            if (!signals.raised()) {
                throw e;
            }
            return stop(options, job);
        }
    }

    private void tell(LocalJob.Phase phase) {
        switch (phase) {
            case RUNNING -> note("is running; Ctrl-C stops it");
            case RESTARTING -> note("lost a task and goes back to its last checkpoint; the log says why");
            case FINISHED -> note("has come to the end of its input");
            case STOPPED -> note("was stopped from outside");
            case STARTING, FAILED -> {}
        }
    }

    private void note(String what) {
        terminal.note("The job " + what + ".");
    }

    private int stop(JobOptions options, LocalJob job) {
        if (options.checkpoints().directory() == null) {
            note("is stopped without a checkpoint.directory, what was in flight begins again with the next start");
            return 0;
        }
        try {
            note("is stopped, the next start goes on from " + job.stop());
            return 0;
        } catch (Exception e) {
            Logger log = LoggerFactory.getLogger(RunCommand.class);
            log.warn("No savepoint", e);
            note("is stopped without a savepoint (" + Causes.sentence(e)
                    + "), the next start goes on from the last checkpoint");
            return Freshet.FAILED;
        }
    }
}
