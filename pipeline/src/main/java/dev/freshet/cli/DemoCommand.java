package dev.freshet.cli;

import dev.freshet.job.EmbeddedKafka;
import dev.freshet.job.GenerateJob;
import dev.freshet.job.JobOptions;
import dev.freshet.job.LocalJob;
import dev.freshet.job.Preflight;
import dev.freshet.job.PromptFeed;
import dev.freshet.job.TopicTail;
import dev.freshet.model.ModelDirectory;
import dev.freshet.request.ConfigError;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Shows the whole stream in one process: a Kafka broker, a Flink cluster with its dashboard, prompts and what becomes of them. */
@Command(
        name = "demo",
        description =
                "Starts a Kafka broker and a Flink cluster with its dashboard in this process, feeds sample prompts, prints"
                        + " what comes out and how fast, and ends.")
final class DemoCommand implements Callable<Integer> {

    private static final Duration POLL = Duration.ofMillis(100);
    private static final long PATIENCE_SECONDS = 300;
    private static final int STANDARD_PORT = 8081;
    private static final int MOST_PROMPTS = 100_000;
    private static final int MOST_SLOTS = 1024;

    private final Terminal terminal;
    private final DemoScreen screen;

    @Mixin
    private ModelOption model = new ModelOption();

    @Option(
            names = "--slots",
            paramLabel = "N",
            defaultValue = "8",
            description = "Sequences that decode together. Default: 8.")
    private int slots;

    @Option(
            names = "--prompts",
            paramLabel = "N",
            defaultValue = "36",
            description = "Good prompts to feed, beside three bad records. Default: 36.")
    private int prompts;

    @Option(
            names = "--port",
            paramLabel = "N",
            description = "Port of the dashboard; 0 for a free one. Default: 8081, or a free one when that is taken.")
    private @Nullable Integer port;

    @Option(names = "--keep-running", description = "Stay up after the samples and say how to send more, until Ctrl-C.")
    private boolean keepRunning;

    DemoCommand(Terminal terminal) {
        this.terminal = terminal;
        this.screen = new DemoScreen(terminal);
    }

    @Override
    public Integer call() throws Exception {
        requireRange("--slots", slots, 1, MOST_SLOTS);
        requireRange("--prompts", prompts, 0, MOST_PROMPTS);
        if (port != null) {
            LocalJob.requireFree(port);
        }
        Path directory = model.directory();
        // A directory that cannot be served is refused before anything is started.
        ModelDirectory.open(directory).close();
        Signals signals = Signals.interruptThisThread();
        Path work = WorkDirectory.get();
        try {
            run(directory, work);
            return screen.unread() ? Freshet.FAILED : 0;
        } catch (Exception e) {
            terminal.clearStatus();
            if (signals.raised()) {
                // Whatever broke off did so because of the signal.
                return signals.status();
            } else if (e instanceof InterruptedException) {
                return Freshet.FAILED;
            }
            throw e;
        } finally {
            WorkDirectory.deleteAllButTheLog();
        }
    }

    private static void requireRange(String option, int value, int least, int most) {
        if (value < least || value > most) {
            throw new ConfigError("Cannot start the demo: " + option + " expected from " + least + " to " + most
                    + ", got " + value + ". Correct the option.");
        }
    }

    private void run(Path directory, Path work) throws Exception {
        screen.status("starting Kafka");
        try (EmbeddedKafka kafka = EmbeddedKafka.start(work)) {
            JobOptions options = JobOptions.of(values(directory, work, kafka.bootstrapServers()));
            Preflight.run(options);
            screen.status("starting Flink");
            int dashboard = port != null ? port : LocalJob.isFree(STANDARD_PORT) ? STANDARD_PORT : 0;
            try (LocalJob job = LocalJob.start(options, GenerateJob.model(options), dashboard, work);
                    TopicTail tail = new TopicTail(options, true);
                    PromptFeed feed = new PromptFeed(options)) {
                introduce(directory, kafka, options, job);
                show(options, job, tail, feed);
                if (keepRunning) {
                    Path launcher =
                            Path.of(System.getProperty("freshet.home", ".")).resolve("freshet");
                    screen.invitation(kafka.bootstrapServers(), options, launcher);
                    follow(options, job, tail, new DemoTally());
                }
                screen.status("stopping");
            }
        }
        terminal.clearStatus();
    }

    private Map<String, String> values(Path directory, Path work, String bootstrap) {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("job.name", "freshet-demo");
        values.put("kafka.bootstrap.servers", bootstrap);
        values.put("model.directory", directory.toString());
        model.overlay(values, name -> name.equals("--weights") ? model.weights() != null : !name.equals("--model"));
        values.put("engine.slots", String.valueOf(slots));
        values.put("input.start", "earliest");
        values.put("topics.partitions", "2");
        values.put("topics.replicas", "1");
        values.put("checkpoint.interval", "1 s");
        values.put("checkpoint.directory", work.resolve("checkpoints").toString());
        values.put("checkpoint.resume", "none");
        // A demo that fails says so instead of trying again.
        values.put("flink.restart-strategy.type", "none");
        return values;
    }

    private void introduce(Path directory, EmbeddedKafka kafka, JobOptions options, LocalJob job) {
        JobOptions.Output output = options.output();
        screen.fact("model", directory + ", " + slots + " slots");
        screen.fact("dashboard", job.dashboard().toString());
        screen.fact("kafka", kafka.bootstrapServers());
        screen.fact(
                "topics",
                options.input().topic() + " -> " + output.completions().topic() + ", " + output.deadLetters() + ", "
                        + output.completions().topic() + ".chunks, metrics");
        screen.fact("log", WorkDirectory.log().toString());
        screen.status("loading the model");
    }

    /** Feeds the samples, prints each outcome as it is committed, and sums up. */
    private void show(JobOptions options, LocalJob job, TopicTail tail, PromptFeed feed) throws Exception {
        DemoTally tally = new DemoTally();
        long giveUp = deadline();
        // The first metrics show that the model is loaded: what is measured from here on is work.
        while (tally.latest() == null) {
            poll(options, job, tail, tally, Map.of());
            requireTime(giveUp, "the model to be loaded");
        }
        List<DemoPrompts.Sample> samples = DemoPrompts.of(prompts, options);
        List<PromptFeed.Sent> sent =
                feed.send(samples.stream().map(DemoPrompts.Sample::value).toList());
        tally.sent(options.input().topic(), sent);
        Map<String, String> texts = new HashMap<>();
        for (int i = 0; i < sent.size(); i++) {
            texts.put(
                    position(sent.get(i).partition(), sent.get(i).offset()),
                    samples.get(i).text());
        }
        long patience = deadline();
        while (tally.open() > 0) {
            int before = tally.open();
            poll(options, job, tail, tally, texts);
            patience = tally.open() < before ? deadline() : patience;
            requireTime(patience, "an outcome of each prompt");
        }
        if (!keepRunning) {
            screen.status("waiting for the last metrics");
            job.drain();
            long end = deadline();
            while (tally.summary() == null) {
                tail.poll(POLL).forEach(tally::take);
                requireTime(end, "the summary of the metrics");
            }
        }
        screen.summary(tally, options);
    }

    private void follow(JobOptions options, LocalJob job, TopicTail tail, DemoTally tally) throws Exception {
        while (true) {
            poll(options, job, tail, tally, Map.of());
        }
    }

    private void poll(JobOptions options, LocalJob job, TopicTail tail, DemoTally tally, Map<String, String> texts)
            throws Exception {
        for (TopicTail.Item item : tail.poll(POLL)) {
            tally.take(item);
            if (item.value() instanceof Completion c) {
                String prompt = texts.getOrDefault(position(c.getSourcePartition(), c.getSourceOffset()), "");
                screen.completion(c, prompt, tally);
            } else if (item.value() instanceof TopicTail.Letter letter) {
                screen.letter(letter, options);
            } else if (item.value() instanceof Metric metric && tally.open() > 0) {
                screen.progress(metric, tally.open());
            }
        }
        if (screen.unread()) {
            throw new InterruptedException("nobody reads the output");
        }
        if (job.phase() == LocalJob.Phase.FAILED) {
            Throwable failure = job.failure();
            ConfigError configuration = Causes.configuration(failure);
            throw configuration == null ? new IllegalStateException(Causes.sentence(failure), failure) : configuration;
        }
    }

    private static String position(@Nullable Integer partition, @Nullable Long offset) {
        return partition + "@" + offset;
    }

    private static long deadline() {
        return System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    }

    private static void requireTime(long deadline, String what) {
        if (System.nanoTime() - deadline > 0) {
            throw new IllegalStateException("Cannot finish the demo: expected " + what + " within " + PATIENCE_SECONDS
                    + " s, got none. Look into the log: " + WorkDirectory.log() + ".");
        }
    }
}
