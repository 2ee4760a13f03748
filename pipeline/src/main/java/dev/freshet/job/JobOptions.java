package dev.freshet.job;

import dev.freshet.engine.CheckpointPolicy;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.operator.ConversationOptions;
import dev.freshet.request.ConfigError;
import dev.freshet.request.RequestLimits;
import dev.freshet.request.SpeculationMode;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.io.Serializable;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Everything that a streaming job can be told; docs/operations.md describes each key. Immutable.
 *
 * @param name name of the job; transactional ids and the consumer group derive from it
 * @param parallelism subtasks, each with a model and slots of its own
 * @param model what is served
 * @param engine sizes of each subtask's engine
 * @param limits what one request may ask for
 * @param kafka properties for every Kafka client, bootstrap.servers among them
 * @param input where prompts come from
 * @param output where records go
 * @param conversations how sessions are kept, or null to refuse requests that belong to one
 * @param delivery how sure the outcomes are
 * @param checkpoints when and where progress is kept
 * @param flink Flink's own settings, which override those of Freshet
 */
public record JobOptions(
        String name,
        int parallelism,
        ModelOptions model,
        EngineOptions engine,
        Limits limits,
        Map<String, String> kafka,
        Input input,
        Output output,
        @Nullable ConversationOptions conversations,
        Delivery delivery,
        Checkpoints checkpoints,
        Map<String, String> flink) {

    private static final Duration SECOND = Duration.ofSeconds(1);

    /**
     * What is served.
     *
     * @param directory model directory
     * @param kernels name of the backend, or auto
     * @param threads threads of the backend, 0 for one per core
     * @param speculation drafting mode of requests that name none
     * @param chatFormat chat format of conversations that name none
     * @param allowChange whether a checkpoint of another model may be restored
     * @param names names that requests may use beside the directory's own; {@code *} stands for all
     * @param context longest sequence where the model has a limit, 0 for the model's own
     * @param weights format in memory, or null for the file's own
     */
    public record ModelOptions(
            Path directory,
            String kernels,
            int threads,
            SpeculationMode speculation,
            String chatFormat,
            boolean allowChange,
            List<String> names,
            int context,
            @Nullable WeightFormat weights) {}

    /**
     * Sizes of an engine.
     *
     * @param slots sequences that decode together
     * @param queue requests that wait for a slot
     * @param prefillTokens prompt tokens run in one step
     * @param recentIds ids remembered to recognise duplicates
     * @param blackBox local directory in which the requests of a dying process are named, or null for none
     */
    public record EngineOptions(int slots, int queue, int prefillTokens, int recentIds, @Nullable String blackBox) {}

    /**
     * What one request may ask for; see {@link RequestLimits}.
     *
     * @param promptBytes UTF-8 bytes of a prompt
     * @param promptTokens tokens of a prompt
     * @param maxTokens generated tokens
     */
    public record Limits(int promptBytes, int promptTokens, int maxTokens) {}

    /**
     * Where prompts come from.
     *
     * @param topic topic with prompts
     * @param format wire format of the prompts
     * @param group consumer group under which progress is shown
     * @param start where a first start reads: committed, earliest or latest
     * @param bounded whether the job ends at what the topic holds when it starts
     * @param control topic with cancellations, or null when requests cannot be cancelled
     */
    public record Input(
            String topic, WireFormat format, String group, Start start, boolean bounded, @Nullable String control) {}

    /** Where a job without a checkpoint starts to read. */
    public enum Start {
        /** At the group's committed offsets, else at the beginning. */
        COMMITTED,
        /** At the beginning. */
        EARLIEST,
        /** At the end. */
        LATEST
    }

    /**
     * One output topic.
     *
     * @param topic its name
     * @param format wire format of its records
     */
    public record Target(String topic, WireFormat format) implements Serializable {}

    /**
     * Where records go.
     *
     * @param completions outcomes
     * @param deadLetters topic of records that could not be served, as they came
     * @param chunks growing texts, or null when nobody wants them
     * @param metrics throughput, or null when nobody wants it
     * @param metricsInterval time between two metric records
     * @param createTopics whether missing topics are created
     * @param partitions partitions of created topics
     * @param replicas replicas of created topics, -1 for the broker's default
     * @param replyTopics topics that a request may name for its answer
     * @param cloudEvents whether answers carry ce_ headers
     * @param copyHeaders whether unknown headers of a request are copied to its answer
     */
    public record Output(
            Target completions,
            String deadLetters,
            @Nullable Target chunks,
            @Nullable Target metrics,
            Duration metricsInterval,
            boolean createTopics,
            int partitions,
            short replicas,
            List<String> replyTopics,
            boolean cloudEvents,
            boolean copyHeaders) {}

    /**
     * How sure the outcomes are.
     *
     * @param exactlyOnce whether outcomes are written in transactions
     * @param transactionTimeout after which the broker gives a transaction up
     * @param outage longest interruption after which no outcome may be lost
     * @param strict whether a broker whose transactions are older than KIP-890 is refused instead of warned of
     */
    public record Delivery(boolean exactlyOnce, Duration transactionTimeout, Duration outage, boolean strict) {}

    /**
     * When and where progress is kept.
     *
     * @param interval time between two checkpoints
     * @param timeout after which a checkpoint is given up
     * @param directory URI or path, or null to keep them in memory
     * @param resume checkpoint to start from: latest, none, or its path
     * @param inFlight what they carry of texts in the making besides tokens
     * @param backend where sessions lie: in memory, or on the disk of the machine
     */
    public record Checkpoints(
            Duration interval,
            Duration timeout,
            @Nullable String directory,
            String resume,
            CheckpointPolicy inFlight,
            Backend backend) {}

    /** Where Flink keeps keyed state. */
    public enum Backend {
        /** On the heap. */
        HASHMAP,
        /** In RocksDB on a local disk. */
        ROCKSDB
    }

    public JobOptions {
        kafka = Map.copyOf(kafka);
        flink = Map.copyOf(flink);
    }

    /**
     * Reads the options from dotted keys.
     *
     * @throws ConfigError for a missing, unknown or impossible value
     */
    public static JobOptions of(Map<String, String> values) {
        Settings s = new Settings(values);
        String name = s.text("job.name", "freshet");
        Map<String, String> kafka = s.under("kafka.");
        if (!kafka.containsKey("bootstrap.servers")) {
            throw new ConfigError("Cannot start the job: expected a value for kafka.bootstrap.servers, got none. "
                    + "Set it to host:port of a Kafka broker.");
        }
        JobOptions options = new JobOptions(
                name,
                s.whole("job.parallelism", 1, 1, 32_768),
                model(s),
                engine(s),
                limits(s),
                kafka,
                input(s, name),
                output(s),
                conversations(s),
                delivery(s),
                checkpoints(s),
                s.under("flink."));
        s.refuseUnknown();
        return options;
    }

    private static ModelOptions model(Settings s) {
        return new ModelOptions(
                Path.of(s.required("model.directory", "Set it, or give --model DIR.")),
                s.text("model.kernels", "auto"),
                s.whole("model.threads", 0, 0, 4096),
                s.choice("model.speculative", SpeculationMode.AUTO, SpeculationMode.class),
                s.text("model.chat-format", "plain"),
                s.flag("model.allow-change", false),
                s.list("model.names"),
                s.whole("model.context", 0, 0, Integer.MAX_VALUE),
                s.text("model.weights") == null
                        ? null
                        : s.choice("model.weights", WeightFormat.F32, WeightFormat.class));
    }

    private static EngineOptions engine(Settings s) {
        int slots = s.whole("engine.slots", 8, 1, 65_536);
        return new EngineOptions(
                slots,
                s.whole("engine.queue", 4 * slots, 1, 4 * 65_536),
                s.whole("engine.prefill-tokens", 256, 1, 65_536),
                s.whole("engine.recent-ids", 16_384, 0, 1 << 20),
                s.text("engine.black-box"));
    }

    private static Limits limits(Settings s) {
        RequestLimits most = RequestLimits.defaults();
        return new Limits(
                s.bytes("limits.prompt", most.promptBytes(), most.promptBytes()),
                s.whole("limits.prompt-tokens", most.promptTokens(), 1, most.promptTokens()),
                s.whole("limits.max-tokens", most.maxTokens(), 1, most.maxTokens()));
    }

    private static Input input(Settings s, String name) {
        return new Input(
                s.text("input.topic", "prompts"),
                format(s, "input.format", s.flag("input.strict", false)),
                s.text("input.group", name),
                s.choice("input.start", Start.COMMITTED, Start.class),
                s.flag("input.bounded", false),
                s.text("control.topic"));
    }

    private static Output output(Settings s) {
        String completions = s.text("completions.topic", "completions");
        return new Output(
                new Target(completions, format(s, "completions.format", false)),
                s.text("dead-letters.topic", s.text("input.topic", "prompts") + ".dlq"),
                target(s, "chunks", completions + ".chunks"),
                target(s, "metrics", "metrics"),
                s.duration("metrics.interval", SECOND, Duration.ofMillis(100)),
                s.flag("topics.create", true),
                s.whole("topics.partitions", 4, 1, 10_000),
                (short) s.whole("topics.replicas", -1, -1, Short.MAX_VALUE),
                s.list("completions.reply-topics"),
                s.flag("completions.cloud-events", true),
                s.flag("completions.copy-headers", true));
    }

    private static @Nullable Target target(Settings s, String prefix, String standard) {
        String topic = s.text(prefix + ".topic", standard);
        WireFormat format = format(s, prefix + ".format", false);
        return topic.equals("none") ? null : new Target(topic, format);
    }

    private static WireFormat format(Settings s, String key, boolean strict) {
        String registry = s.text("registry.url");
        WireOptions options =
                WireOptions.defaults().withStrict(strict).withMaxBytes(s.bytes("limits.record", 1 << 20, 32 << 20));
        try {
            return WireFormat.of(
                    s.text(key, "json"), registry == null ? options : options.withRegistry(URI.create(registry)));
        } catch (IllegalArgumentException e) {
            throw new ConfigError(e.getMessage() + " (" + key + ")", e);
        }
    }

    private static Delivery delivery(Settings s) {
        return new Delivery(
                s.choice("delivery.guarantee", Guarantee.EXACTLY_ONCE, Guarantee.class) == Guarantee.EXACTLY_ONCE,
                s.duration("delivery.transaction-timeout", Duration.ofMinutes(15), SECOND),
                s.duration("delivery.outage", Duration.ofSeconds(30), Duration.ZERO),
                s.flag("delivery.strict", false));
    }

    private enum Guarantee {
        EXACTLY_ONCE,
        AT_LEAST_ONCE
    }

    private static Checkpoints checkpoints(Settings s) {
        return new Checkpoints(
                s.duration("checkpoint.interval", Duration.ofSeconds(10), Duration.ofMillis(100)),
                s.duration("checkpoint.timeout", Duration.ofMinutes(1), SECOND),
                s.text("checkpoint.directory"),
                s.text("checkpoint.resume", "latest"),
                s.choice("checkpoint.inflight", CheckpointPolicy.STATE, CheckpointPolicy.class),
                s.choice("state.backend", Backend.HASHMAP, Backend.class));
    }

    private static @Nullable ConversationOptions conversations(Settings s) {
        boolean enabled = s.flag("conversations.enabled", false);
        ConversationOptions standard = ConversationOptions.defaults();
        ConversationOptions given = new ConversationOptions(
                s.duration("conversations.ttl", standard.ttl(), SECOND),
                s.whole("conversations.sessions", standard.sessions(), 1, 100_000_000),
                s.size("conversations.size", standard.bytes(), Long.MAX_VALUE),
                s.whole("conversations.tokens", standard.tokens(), 1, 1 << 24),
                s.whole("conversations.waiting", standard.waiting(), 0, 4 * 65_536));
        return enabled ? given : null;
    }

    /** Whether requests go over the network to the subtask of their session or id, instead of being served where they are read. */
    boolean spreads() {
        return conversations != null || input.control() != null;
    }

    /** Returns the values of a file with others put over them; a later value wins. */
    public static Map<String, String> overlay(Map<String, String> below, Map<String, String> above) {
        Map<String, String> values = new LinkedHashMap<>(below);
        values.putAll(above);
        return values;
    }
}
