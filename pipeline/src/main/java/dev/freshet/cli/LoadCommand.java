package dev.freshet.cli;

import dev.freshet.job.ConfigFile;
import dev.freshet.job.InputLag;
import dev.freshet.job.JobOptions;
import dev.freshet.job.PromptFeed;
import dev.freshet.job.TopicTail;
import dev.freshet.request.ConfigError;
import dev.freshet.schema.Prompt;
import dev.freshet.tokenizer.Tokenizer;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Measures a running job under traffic: sends prompts at given times and reads what comes back. */
@Command(
        name = "load",
        description = {
            "Sends traffic to a running job and measures it: throughput, time to first token, latency, backlog.",
            "Requests come from a trace (CSV of time, prompt tokens, completion tokens) or at a rate, at their times whether or"
                    + " not the job keeps up. Their texts are made up; each generates exactly its number of tokens."
        })
final class LoadCommand implements Callable<Integer> {

    private static final int ID_CHARS = 8;
    private static final double STANDARD_SECONDS = 60;

    private final Terminal terminal;

    @Option(names = "--config", paramLabel = "FILE", description = "Configuration of the job: its topics and formats.")
    private @Nullable Path config;

    @Option(names = "--bootstrap-servers", paramLabel = "HOST:PORT", description = "Kafka broker.")
    private @Nullable String bootstrap;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description =
                    "Model directory of the job, whose tokenizer counts the tokens of prompts. Default: that of the"
                            + " configuration, else models/freshet-tiny.")
    private @Nullable Path model;

    @Option(names = "--trace", paramLabel = "FILE", description = "Trace to replay.")
    private @Nullable Path trace;

    @Option(names = "--rate", paramLabel = "N", description = "Requests a second, in place of a trace.")
    private @Nullable Double rate;

    @Option(
            names = "--even",
            description =
                    "Evenly spaced requests with --rate. Default: independent ones (Poisson), as many clients send them.")
    private boolean even;

    @Option(
            names = "--prompt-tokens",
            paramLabel = "N",
            defaultValue = "100",
            description = "Tokens of each prompt with --rate. Default: ${DEFAULT-VALUE}.")
    private int promptTokens;

    @Option(
            names = "--completion-tokens",
            paramLabel = "N",
            defaultValue = "50",
            description = "Tokens to generate for each with --rate. Default: ${DEFAULT-VALUE}.")
    private int completionTokens;

    @Option(
            names = "--speed",
            paramLabel = "X",
            defaultValue = "1",
            description = "Replay a trace so many times faster. Default: 1.")
    private double speed;

    @Option(
            names = "--prompt-scale",
            paramLabel = "X",
            defaultValue = "1",
            description = "Factor of the prompt tokens of a trace. Default: 1.")
    private double promptScale;

    @Option(
            names = "--completion-scale",
            paramLabel = "X",
            defaultValue = "1",
            description = "Factor of the completion tokens of a trace. Default: 1.")
    private double completionScale;

    @Option(
            names = "--duration",
            paramLabel = "SECONDS",
            description = "How long to send. Default: the whole trace, or 60 with --rate.")
    private @Nullable Double duration;

    @Option(
            names = "--warm-up",
            paramLabel = "SECONDS",
            defaultValue = "10",
            description = "Requests of the first seconds are sent but not measured. Default: ${DEFAULT-VALUE}.")
    private double warmUp;

    @Option(
            names = "--timeout",
            paramLabel = "SECONDS",
            defaultValue = "60",
            description = "After the last request, longest wait without a further answer. Default: ${DEFAULT-VALUE}.")
    private int timeout;

    @Option(
            names = "--text",
            paramLabel = "FILE",
            description =
                    "Prompts are pieces of this text. Default: random words of the vocabulary, which no draft foresees.")
    private @Nullable Path text;

    @Option(names = "--temperature", paramLabel = "T", description = "Of each request. Default: 1.")
    private @Nullable Double temperature;

    @Option(names = "--stream", description = "Ask for chunks; the first one read is the first token.")
    private boolean stream;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "Decides texts, times of a rate, and seeds of requests. Default: ${DEFAULT-VALUE}.")
    private long seed;

    @Option(names = "--json", paramLabel = "FILE", description = "Where to write the report with its timeline as JSON.")
    private @Nullable Path json;

    LoadCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Exception {
        Traffic traffic = traffic();
        JobOptions options = JobOptions.of(values());
        if (stream && options.output().chunks() == null) {
            throw new ConfigError("Cannot measure the first chunk: expected a topic for chunks, got none. Set"
                    + " chunks.topic, or leave --stream out.");
        }
        String run = "load-" + UUID.randomUUID().toString().substring(0, ID_CHARS);
        Signals signals = Signals.interruptThisThread();
        RecordEncoder<Prompt> encoder = options.input()
                .format()
                .encoder(RecordType.PROMPT, options.input().topic());
        try (Tokenizer tokenizer = Tokenizer.load(options.model().directory());
                TopicTail tail = new TopicTail(options, false);
                PromptFeed feed = new PromptFeed(options);
                InputLag lag = new InputLag(options)) {
            LoadPrompts prompts = LoadPrompts.of(tokenizer, text, seed);
            LoadSender.Maker maker = (number, arrival) -> encoder.encode(request(run, number, arrival, prompts));
            LoadRun load = new LoadRun(terminal, traffic, run + "-", warmUp, stream, timeout);
            LoadReport report = load.run(maker, feed, tail, lag, seed);
            terminal.clearStatus();
            terminal.out().print(report.table());
            if (json != null) {
                Files.writeString(json, report.json() + "\n");
            }
            if (signals.raised()) {
                return signals.status();
            }
            return report.complete() ? 0 : Freshet.FAILED;
        }
    }

    private Prompt request(String run, int number, Traffic.Arrival arrival, LoadPrompts prompts) {
        return Prompt.newBuilder()
                .setId(run + "-" + number)
                .setPrompt(prompts.make(number, arrival.promptTokens()))
                .setMaxTokens((long) arrival.completionTokens())
                .setIgnoreEos(true)
                .setTemperature(temperature)
                // Ids change from run to run, texts must not.
                .setSeed(seed + number)
                .setStream(stream)
                .build();
    }

    private Traffic traffic() throws IOException {
        if ((trace == null) == (rate == null)) {
            throw new ConfigError("Cannot make traffic: expected --trace FILE or --rate N, got "
                    + (trace == null ? "neither" : "both") + ". Give one of them.");
        }
        positive("--speed", speed);
        positive("--prompt-scale", promptScale);
        positive("--completion-scale", completionScale);
        positive("--prompt-tokens", promptTokens);
        positive("--completion-tokens", completionTokens);
        positive("--timeout", timeout);
        if (duration != null) {
            positive("--duration", duration);
        }
        Traffic traffic;
        if (trace != null) {
            Traffic.Change change = new Traffic.Change(
                    speed, promptScale, completionScale, duration == null ? Double.MAX_VALUE : duration);
            String name = trace.getFileName() + ", " + speed + " times as fast, " + promptScale + " of prompt and "
                    + completionScale + " of completion tokens";
            traffic = Traffic.ofTrace(name, TraceFile.read(trace), change);
        } else {
            double each = rate == null ? 0 : rate;
            positive("--rate", each);
            Traffic.Arrival length = new Traffic.Arrival(0, promptTokens, completionTokens);
            traffic = Traffic.ofRate(length, each, duration == null ? STANDARD_SECONDS : duration, !even, seed);
        }
        if (warmUp < 0 || warmUp >= traffic.seconds()) {
            throw new ConfigError("Cannot measure: expected a --warm-up shorter than the traffic of "
                    + traffic.seconds() + " s, got " + warmUp + ". Shorten it, or send longer with --duration.");
        }
        return traffic;
    }

    private static void positive(String option, double value) {
        if (!(value > 0) || Double.isInfinite(value)) {
            throw new ConfigError(
                    "Cannot make traffic: " + option + " expected more than 0, got " + value + ". Correct the option.");
        }
    }

    private Map<String, String> values() {
        Map<String, String> values = new LinkedHashMap<>();
        if (config != null) {
            values.putAll(ConfigFile.read(config, System.getenv()));
        }
        if (bootstrap != null) {
            values.put("kafka.bootstrap.servers", bootstrap);
        }
        if (model != null) {
            values.put("model.directory", model.toString());
        } else if (!values.containsKey("model.directory")) {
            values.put("model.directory", new ModelOption().directory().toString());
        }
        return values;
    }
}
