package dev.freshet.job;

import dev.freshet.model.ModelDirectory;
import dev.freshet.operator.DirectoryModel;
import dev.freshet.operator.GenerateOperatorFactory;
import dev.freshet.operator.Inbound;
import dev.freshet.operator.ModelLoader;
import dev.freshet.operator.RecordTypes;
import dev.freshet.request.ConfigError;
import dev.freshet.request.SpeculationMode;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.filesystem.OutputFileConfig;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;
import org.apache.flink.util.FileUtils;
import org.apache.flink.util.SerializedThrowable;
import org.jspecify.annotations.Nullable;

/**
 * A batch as a bounded Flink job: Flink's file source, the streaming job's operator, Flink's file sink. Each line has one answer, whatever
 * fails meanwhile: a job that restarts goes on from its checkpoint in the middle of its texts, and so does one that is started anew over
 * the same directory; without a checkpoint it goes on after the answers that are committed. Confined to one thread.
 */
public final class ClusterBatch {

    private static final String CHECKPOINTS = ".checkpoints";
    private static final long LOOK_MILLIS = 200;
    private static final double SECOND = 1e9;

    private final Options options;
    private final Clock clock;

    /**
     * What to do. A cluster in another process must find input, output and model under the same paths.
     *
     * @param input file of request lines
     * @param output directory for the answers
     * @param model what to load
     * @param parallelism subtasks, each with a model and slots of its own
     * @param slots sequences that decode together in one subtask
     * @param speculation drafting mode of requests that name none
     * @param names names of the model that requests may use beside its own
     * @param metrics whether answers carry their times
     * @param interval time between two checkpoints, with each of which answers are committed
     * @param address host:port of a cluster's REST endpoint, or null for a cluster in this process
     * @param jar the job's code for such a cluster, or null where the cluster has it
     */
    public record Options(
            Path input,
            Path output,
            DirectoryModel model,
            int parallelism,
            int slots,
            SpeculationMode speculation,
            Set<String> names,
            boolean metrics,
            Duration interval,
            @Nullable String address,
            @Nullable Path jar) {

        public Options {
            names = Set.copyOf(names);
            input = input.toAbsolutePath().normalize();
            output = output.toAbsolutePath().normalize();
        }
    }

    /** Creates a batch; clock gives the time that answers carry. */
    public ClusterBatch(Options options, Clock clock) {
        this.options = options;
        this.clock = clock;
    }

    /**
     * Answers every line that has no answer yet.
     *
     * @param told called with sentences about what happens
     * @param watcher called a few times a second
     * @param work directory for temporary files of a cluster in this process
     * @throws ConfigError when input, output, model or cluster cannot be used
     */
    public BatchJob.Progress run(Consumer<String> told, Consumer<BatchJob.Progress> watcher, Path work)
            throws Exception {
        return run(told, watcher, work, options.model);
    }

    BatchJob.Progress run(Consumer<String> told, Consumer<BatchJob.Progress> watcher, Path work, ModelLoader loader)
            throws Exception {
        Path file = options.input;
        if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
            throw new ConfigError("Cannot read the requests: no readable file (" + file + "). Check --input.");
        }
        String fingerprint;
        try (ModelDirectory model = ModelDirectory.open(Path.of(options.model.directory()))) {
            fingerprint = model.fingerprint();
        }
        BatchManifest.Input input = BatchManifest.Input.of(file);
        long start = System.nanoTime();
        try (FileChannel lock = BatchOutput.lock(options.output)) {
            BatchManifest manifest = manifest(input, fingerprint).claim(options.output);
            ClusterJobFile earlier = new ClusterJobFile(options.output);
            JobID running = earlier.running(options.address);
            JobOptions job = JobOptions.of(values());
            Configuration settings = FlinkSettings.forStart(job);
            String checkpoint = settings.toMap().get(FlinkSettings.RESUME);
            BatchParts parts = new BatchParts(options.output);
            if (running == null && checkpoint == null) {
                parts.deleteLeftovers();
            }
            BatchParts.Found before = parts.read();
            told.accept(introduction(manifest, before, running, checkpoint));
            try (FlinkCluster cluster = cluster(settings, work)) {
                JobID id = running;
                if (id == null) {
                    BitSet answered = checkpoint == null ? before.answered() : new BitSet();
                    id = cluster.submit(graph(job, settings, manifest, fingerprint, answered, loader));
                    earlier.write(options.address, id);
                }
                await(cluster, id, manifest, parts, before, watcher);
            }
            earlier.delete();
            parts.deleteLeftovers();
            FileUtils.deleteDirectory(options.output.resolve(CHECKPOINTS).toFile());
            return end(manifest, parts.read(), before, (System.nanoTime() - start) / SECOND);
        }
    }

    private String introduction(
            BatchManifest manifest, BatchParts.Found before, @Nullable JobID running, @Nullable String checkpoint) {
        String where = options.address == null ? "in this process" : "at " + options.address;
        String how = running != null
                ? "job " + running + " runs already"
                : checkpoint == null
                        ? before.answered().cardinality() + " are answered already"
                        : "goes on from " + checkpoint;
        return options.model.name() + " on Flink " + where + ", " + options.parallelism + " x " + options.slots
                + " slots, " + manifest.lines() + " lines, " + how;
    }

    private BatchManifest manifest(BatchManifest.Input input, String fingerprint) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("input", "sha256:" + input.sha256());
        facts.put("model", fingerprint);
        facts.put("kernels", options.model.kernels() + " on a cluster");
        facts.put(
                "weights",
                options.model.weights() == null
                        ? "as stored"
                        : options.model.weights().name());
        facts.put("context", String.valueOf(options.model.context()));
        facts.put("chat format", options.model.chatFormat());
        facts.put("typical acceptance", String.valueOf(options.speculation == SpeculationMode.TYPICAL));
        return new BatchManifest(
                clock.instant().getEpochSecond(), String.valueOf(options.input.getFileName()), input.lines(), facts);
    }

    /** The keys of a streaming job, so that a batch has its settings, its operator and its way to go on. */
    private Map<String, String> values() {
        DirectoryModel model = options.model;
        Map<String, String> values = new LinkedHashMap<>();
        values.put("job.name", "freshet-batch");
        values.put("job.parallelism", String.valueOf(options.parallelism));
        // No client of Kafka is made.
        values.put("kafka.bootstrap.servers", "none");
        values.put("model.directory", model.directory());
        values.put("model.kernels", model.kernels());
        values.put("model.threads", String.valueOf(model.threads()));
        values.put("model.context", String.valueOf(model.context()));
        values.put("model.chat-format", model.chatFormat());
        values.put("model.speculative", options.speculation.name().toLowerCase(Locale.ROOT));
        values.put("model.names", String.join(",", options.names));
        if (model.weights() != null) {
            values.put("model.weights", model.weights().name().toLowerCase(Locale.ROOT));
        }
        values.put("engine.slots", String.valueOf(options.slots));
        // The whole file is known, so that an id that comes again is refused wherever it stands.
        values.put("engine.recent-ids", "0");
        values.put("input.bounded", "true");
        values.put("checkpoint.interval", options.interval.toMillis() + " ms");
        values.put("checkpoint.directory", options.output.resolve(CHECKPOINTS).toString());
        // An older checkpoint would answer again what was committed after it.
        values.put("flink.execution.checkpointing.num-retained", "1");
        if (options.parallelism > 1) {
            // Requests wait in network buffers then; a barrier must not wait behind minutes of generation.
            values.put("flink.execution.checkpointing.unaligned.enabled", "true");
        }
        return values;
    }

    private FlinkCluster cluster(Configuration settings, Path work) throws Exception {
        return options.address == null
                ? LocalCluster.start(FlinkSettings.forLocalCluster(settings, 0, work), options.parallelism)
                : RemoteCluster.open(options.address);
    }

    private JobGraph graph(
            JobOptions job,
            Configuration settings,
            BatchManifest manifest,
            String fingerprint,
            BitSet answered,
            ModelLoader loader) {
        StreamExecutionEnvironment env = new StreamExecutionEnvironment(settings);
        BatchLineFormat format = new BatchLineFormat();
        DataStream<Inbound> requests = env.fromSource(
                        FileSource.forRecordStreamFormat(format, flinkPath(options.input))
                                .build(),
                        WatermarkStrategy.noWatermarks(),
                        "requests",
                        format.getProducedType())
                .uid("requests")
                .setParallelism(1)
                .process(new BatchAdmission(manifest.source(), answered), RecordTypes.INBOUND)
                .name("admission")
                .uid("admission")
                .setParallelism(1);
        if (options.parallelism > 1) {
            requests = requests.rebalance();
        }
        requests.transform(
                        "generate",
                        RecordTypes.OUTBOUND,
                        new GenerateOperatorFactory(GenerateJob.operator(job), loader))
                .uid(GenerateJob.OPERATOR_UID)
                .sinkTo(FileSink.forRowFormat(
                                flinkPath(options.output),
                                new BatchAnswers(options.model, fingerprint, manifest.created(), options.metrics))
                        .withBucketAssigner(new BatchAnswers.Buckets())
                        .withRollingPolicy(OnCheckpointRollingPolicy.build())
                        .withOutputFileConfig(OutputFileConfig.builder()
                                .withPartPrefix("part")
                                .withPartSuffix(".jsonl")
                                .build())
                        .build())
                .uid("answers")
                .name("answers");
        JobGraph graph = env.getStreamGraph().getJobGraph();
        if (options.jar != null) {
            graph.addJar(flinkPath(options.jar.toAbsolutePath()));
        }
        return graph;
    }

    private static org.apache.flink.core.fs.Path flinkPath(Path path) {
        return new org.apache.flink.core.fs.Path(path.toUri());
    }

    private void await(
            FlinkCluster cluster,
            JobID job,
            BatchManifest manifest,
            BatchParts parts,
            BatchParts.Found before,
            Consumer<BatchJob.Progress> watcher)
            throws Exception {
        long start = System.nanoTime();
        long earlier = before.answered().cardinality();
        while (true) {
            JobStatus status = cluster.status(job);
            if (status == JobStatus.FINISHED) {
                return;
            }
            if (status.isGloballyTerminalState()) {
                throw failure(cluster.await(job), status);
            }
            watcher.accept(new BatchJob.Progress(
                    manifest.lines(),
                    earlier,
                    parts.count() - earlier,
                    0,
                    Map.of(),
                    0,
                    0,
                    (System.nanoTime() - start) / SECOND,
                    Double.NaN));
            Thread.sleep(LOOK_MILLIS);
        }
    }

    private static Exception failure(JobResult result, JobStatus status) {
        @Nullable SerializedThrowable cause = result.getSerializedThrowable().orElse(null);
        return new IllegalStateException(
                "Cannot finish the batch: expected its job to come to the end, got " + status
                        + ". Look into the log, then start the same command again: it goes on.",
                cause == null ? null : cause.deserializeError(ClusterBatch.class.getClassLoader()));
    }

    /** Sums up what the files hold, and checks that they hold all. */
    private BatchJob.Progress end(
            BatchManifest manifest, BatchParts.Found after, BatchParts.Found before, double seconds)
            throws IOException {
        long requests = 0;
        try (BatchInput lines = new BatchInput(options.input, BatchRequests.LINE_BYTES)) {
            while (lines.next() != null) {
                requests++;
            }
        }
        int answers = after.answered().cardinality();
        if (answers != requests) {
            throw new IllegalStateException("Cannot finish the batch: expected " + requests + " answers, got " + answers
                    + " (" + options.output + "). Start the same command again, and report this to the project.");
        }
        return new BatchJob.Progress(
                manifest.lines(),
                before.answered().cardinality(),
                after.completed() - before.completed(),
                after.failed() - before.failed(),
                Map.of(),
                after.promptTokens() - before.promptTokens(),
                after.tokens() - before.tokens(),
                seconds,
                Double.NaN);
    }
}
