package dev.freshet.job;

import dev.freshet.harness.HashChainLoader;
import dev.freshet.harness.KafkaProxy;
import dev.freshet.operator.StoredSequences;
import dev.freshet.schema.Completion;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.apache.flink.api.common.JobID;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One job on real processes under a list of faults, in an order and at times that a seed decides, while prompts keep coming. The
 * model is a hash chain: whatever state is lost, doubled or swapped changes a text.
 */
final class ChaosRun implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(ChaosRun.class);
    private static final int PARTITIONS = 4;
    private static final int TASK_MANAGERS = 2;
    private static final int SLOTS = 2;
    private static final int BURST = 1_000;
    private static final int SLOTS_OF_ENGINE = 128;
    private static final String JOB = "chaos";
    static final String SECRET = "zqxjkvsecret";
    private final Path directory;
    private final long seed;
    private final SplittableRandom random;
    private final BrokerProcess broker;
    private final FlinkProcesses flink;
    private final List<Event> events = new ArrayList<>();
    private int parallelism = 2;
    private @Nullable JobID job;

    /** What can go wrong. */
    enum Fault {
        /** A task manager dies at any time. */
        TASK_MANAGER,
        /** The JobManager dies; the job is started again from its newest checkpoint. */
        JOB_MANAGER,
        /** The broker dies and comes back. */
        BROKER,
        /** Every task manager dies between a complete checkpoint and its commit. */
        BEFORE_COMMIT,
        /** A task manager dies while a checkpoint is under way. */
        IN_CHECKPOINT,
        /** A task manager dies while tasks are restored from the death of another. */
        IN_RESTORE,
        /** A task manager dies while the first checkpoint after a death is under way. */
        FIRST_CHECKPOINT,
        /** A task manager hangs until it is given up, then goes on as if nothing had happened. */
        ZOMBIE,
        /** The broker cannot be reached for a while. */
        OUTAGE,
        /** The broker gives a transaction up whose checkpoint is complete, and every task manager dies. */
        EXPIRED,
        /** Every process dies, the broker too. */
        POWER_OFF,
        /** The job is stopped with a savepoint and hundreds of sequences in flight, and started with another parallelism. */
        RESCALE;

        /** Whether tasks die of it, so that what was done after the last checkpoint is done again. */
        boolean kills() {
            return this != BROKER && this != OUTAGE && this != RESCALE;
        }
    }

    /**
     * A fault that happened.
     *
     * @param inFlight what the newest checkpoint, or the savepoint, held
     * @param recoveryMillis how long it took until completions were committed again
     */
    record Event(Fault fault, StoredSequences inFlight, long recoveryMillis) {}

    /**
     * What came of a run.
     *
     * @param verification what the topics say
     * @param different completions whose text is not that of an undisturbed run
     * @param events the faults in their order
     * @param work tokens that the engines ran
     * @param leaks logs, metrics and REST answers with text of a prompt or a secret, and ports that other machines reach
     */
    record Result(Verification verification, long different, List<Event> events, ChaosWork work, List<String> leaks) {}

    ChaosRun(Path directory, long seed) throws Exception {
        this.directory = directory;
        this.seed = seed;
        this.random = new SplittableRandom(seed);
        broker = new BrokerProcess(directory);
        flink = new FlinkProcesses(directory, TASK_MANAGERS, SLOTS);
        broker.await();
        flink.await(TASK_MANAGERS * SLOTS);
    }

    private JobOptions options(@Nullable String from) {
        Map<String, String> values = new HashMap<>();
        values.put("job.name", JOB);
        values.put("job.parallelism", String.valueOf(parallelism));
        values.put("kafka.bootstrap.servers", broker.bootstrapServers());
        values.put("model.directory", "none");
        values.put("chunks.topic", "none");
        values.put("metrics.interval", "200 ms");
        values.put("engine.slots", String.valueOf(SLOTS_OF_ENGINE));
        values.put("kafka.ssl.key.password", SECRET);
        values.put("delivery.transaction-timeout", "15 min");
        values.put("checkpoint.interval", "1 s");
        values.put("checkpoint.directory", directory.resolve("checkpoints").toString());
        values.put("flink.restart-strategy.exponential-delay.initial-backoff", "300 ms");
        values.put("flink.restart-strategy.exponential-delay.max-backoff", "2 s");
        if (from != null) {
            values.put("flink.execution.state-recovery.path", from);
        }
        return JobOptions.of(values);
    }

    private void start(@Nullable String from) throws Exception {
        JobOptions options = options(from);
        StreamExecutionEnvironment env = new StreamExecutionEnvironment(FlinkSettings.forJob(options));
        GenerateJob.define(env, options, new HashChainLoader(50_000, 256));
        job = flink.submit(env.getStreamGraph().getJobGraph());
        LOG.warn("Submitted with parallelism {} from {}", parallelism, from);
    }

    /** Returns the newest complete checkpoint or savepoint. */
    private @Nullable String newestCheckpoint() throws IOException {
        List<Path> complete = new ArrayList<>();
        for (String kind : List.of("checkpoints", "savepoints")) {
            Path root = Files.createDirectories(directory.resolve(kind));
            try (Stream<Path> files = Files.walk(root)) {
                files.filter(file -> file.endsWith("_metadata")).forEach(complete::add);
            }
        }
        return complete.stream()
                .max(Comparator.comparing(file -> file.toFile().lastModified()))
                .map(file -> Objects.requireNonNull(file.getParent()).toUri().toString())
                .orElse(null);
    }

    /**
     * Runs the job under faults until every prompt has its outcome.
     *
     * @param faults in the order in which they come
     * @param prompts at least so many
     * @param perSecond prompts in a second
     */
    Result run(List<Fault> faults, long prompts, int perSecond) throws Exception {
        JobOptions options = options(null);
        try (Admin admin = Admin.create(Map.<String, Object>copyOf(options.kafka()))) {
            admin.createTopics(List.of(
                            new NewTopic(options.input().topic(), PARTITIONS, (short) 1),
                            new NewTopic(options.output().completions().topic(), PARTITIONS, (short) 1),
                            new NewTopic(options.output().deadLetters(), PARTITIONS, (short) 1),
                            new NewTopic("metrics", 1, (short) 1)))
                    .all()
                    .get();
        }
        start(null);
        List<String> leaks = new ArrayList<>();
        try (PromptFeeder feeder = new PromptFeeder(options, PARTITIONS, prompts, perSecond);
                CommitWatch watch = new CommitWatch(options, PARTITIONS)) {
            awaitFlow(watch);
            List<Long> times = new ArrayList<>();
            List<StoredSequences> held = new ArrayList<>();
            for (Fault fault : faults) {
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(random.nextInt(2000)));
                held.add(stored());
                times.add(System.nanoTime());
                LOG.warn("{} after {} prompts and {} completions", fault, feeder.sent(), watch.seen());
                if (fault == Fault.RESCALE) {
                    held.set(held.size() - 1, rescale(feeder));
                } else {
                    cause(fault);
                }
                awaitFlow(watch);
            }
            for (int i = 0; i < times.size(); i++) {
                long until = i + 1 < times.size() ? times.get(i + 1) : System.nanoTime();
                events.add(new Event(faults.get(i), held.get(i), watch.recoveryMillis(times.get(i), until)));
            }
            feeder.finish();
            long expected = feeder.sent();
            long[] last = {-1};
            await("every prompt has its outcome", Duration.ofMinutes(3), () -> {
                // The topics are read again only when something has come, and when nothing comes any more.
                boolean still = watch.seen() == last[0];
                last[0] = watch.seen();
                LockSupport.parkNanos(1_000_000_000);
                return still && watch.seen() >= expected - expected / 50 - 1;
            });
            leaks.addAll(ChaosLeaks.find(directory, flink, String.valueOf(job)));
            // The last metrics of each engine.
            LockSupport.parkNanos(1_000_000_000);
        }
        ChaosWork work = ChaosWork.read(options);
        leaks.addAll(work.leaks());
        return new Result(TopicVerifier.verify(options, 20), different(options), List.copyOf(events), work, leaks);
    }

    /** What the newest checkpoint holds; it may be deleted while it is read. */
    private StoredSequences stored() throws IOException {
        for (int i = 0; ; i++) {
            String checkpoint = newestCheckpoint();
            try {
                return checkpoint == null ? new StoredSequences(0, 0) : StoredSequences.in(checkpoint);
            } catch (IOException e) {
                if (i == 20) {
                    throw e;
                }
            }
        }
    }

    /** Waits until all tasks run and completions are committed that were not before. */
    private void awaitFlow(CommitWatch watch) throws Exception {
        await("all tasks run", Duration.ofMinutes(2), () -> job != null && flink.isRunning(job));
        long before = watch.seen();
        await("completions are committed", Duration.ofMinutes(2), () -> watch.seen() > before);
        long later = watch.seen();
        await("more completions are committed", Duration.ofMinutes(1), () -> watch.seen() > later);
    }

    private void await(String what, Duration patience, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + patience.toNanos();
        while (!condition.call()) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException(
                        "Seed " + seed + ": not within " + patience + ": " + what + "; logs in " + directory);
            }
            LockSupport.parkNanos(10_000_000);
        }
    }

    private void cause(Fault fault) throws Exception {
        JobID running = Objects.requireNonNull(job);
        List<Integer> hosts = flink.hosts(running);
        int victim = hosts.get(random.nextInt(hosts.size()));
        switch (fault) {
            case TASK_MANAGER -> die(victim);
            case JOB_MANAGER -> {
                flink.replaceJobManager();
                restart();
            }
            case BROKER -> broker.restart();
            case BEFORE_COMMIT -> {
                broker.proxy().hold(KafkaProxy.END_TXN);
                broker.proxy().awaitHeld(60_000);
                dieAll();
                broker.proxy().drop();
                awaitNoticed();
            }
            case IN_CHECKPOINT -> dieInCheckpoint(victim);
            case FIRST_CHECKPOINT -> {
                die(victim);
                await("all tasks run again", Duration.ofMinutes(2), () -> flink.isRunning(running));
                dieInCheckpoint(flink.hosts(running).get(0));
            }
            case IN_RESTORE -> {
                die(victim);
                await("tasks are restored", Duration.ofMinutes(2), () -> flink.tasks(running, "INITIALIZING") > 0);
                die(flink.hosts(running).get(0));
            }
            case ZOMBIE -> {
                flink.taskManager(victim).freeze();
                awaitNoticed();
                // Long enough for others to take over where there are slots for it.
                long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
                while (System.nanoTime() < patience && !flink.isRunning(running)) {
                    LockSupport.parkNanos(50_000_000);
                }
                flink.taskManager(victim).resume();
            }
            case OUTAGE -> {
                broker.proxy().cut();
                LockSupport.parkNanos(TimeUnit.SECONDS.toNanos(5 + random.nextInt(10)));
                broker.proxy().heal();
            }
            case EXPIRED -> {
                broker.proxy().hold(KafkaProxy.END_TXN);
                broker.proxy().awaitHeld(60_000);
                dieAll();
                int aborted = broker.abortTransactions(JOB);
                broker.proxy().drop();
                if (aborted == 0) {
                    throw new IllegalStateException("There was no transaction to give up");
                }
                awaitNoticed();
            }
            case POWER_OFF -> {
                flink.kill();
                broker.restart();
                flink.replaceJobManager();
                dieAll();
                restart();
            }
            default -> throw new IllegalArgumentException(fault.name());
        }
    }

    private void die(int taskManager) throws Exception {
        flink.replaceTaskManager(taskManager);
        awaitNoticed();
    }

    private void dieAll() throws Exception {
        for (int i = 0; i < TASK_MANAGERS; i++) {
            flink.replaceTaskManager(i);
        }
    }

    private void dieInCheckpoint(int taskManager) throws Exception {
        await("a checkpoint is under way", Duration.ofMinutes(1), this::isCheckpointUnderWay);
        die(taskManager);
    }

    /** What a user does when the JobManager is gone and with it the job. */
    private void restart() throws Exception {
        flink.await(TASK_MANAGERS * SLOTS);
        start(newestCheckpoint());
    }

    /** Fills the engines, moves everything in flight to another parallelism and returns what that was. */
    private StoredSequences rescale(PromptFeeder feeder) throws Exception {
        feeder.burst(BURST);
        LockSupport.parkNanos(1_500_000_000);
        String savepoint = flink.stopWithSavepoint(Objects.requireNonNull(job), directory.resolve("savepoints"));
        parallelism = parallelism % 3 + 1;
        start(savepoint);
        return StoredSequences.in(savepoint);
    }

    /** Waits until the JobManager has seen a death; a task manager that ran no task may die unnoticed. */
    private void awaitNoticed() throws Exception {
        for (int i = 0; i < 500 && job != null && flink.isRunning(job); i++) {
            LockSupport.parkNanos(20_000_000);
        }
    }

    /** A checkpoint has its folder from the beginning, and its metadata only when it is complete. */
    private boolean isCheckpointUnderWay() throws IOException {
        Path own = directory.resolve("checkpoints").resolve(JOB).resolve(String.valueOf(job));
        int complete = 0;
        int begun = 0;
        if (!Files.exists(own)) {
            return false;
        }
        try (Stream<Path> files = Files.list(own)) {
            for (Path file : files.toList()) {
                String name = file.getFileName().toString();
                if (name.startsWith("chk-")) {
                    int number = Integer.parseInt(name.substring(4));
                    begun = Math.max(begun, number);
                    complete = Files.exists(file.resolve("_metadata")) ? Math.max(complete, number) : complete;
                }
            }
        }
        return begun > complete;
    }

    /** Counts the completions that are not what the model writes when nothing happens. */
    private static long different(JobOptions options) {
        Map<String, Object> client = new HashMap<>(options.kafka());
        client.put("isolation.level", "read_committed");
        client.put("auto.offset.reset", "earliest");
        RecordDecoder<Completion> decoder =
                options.output().completions().format().decoder(RecordType.COMPLETION);
        long different = 0;
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(client, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int i = 0; i < PARTITIONS; i++) {
                partitions.add(new TopicPartition(options.output().completions().topic(), i));
            }
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.getOrDefault(p, 0L))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    different += isAsUndisturbed(decoder.decode(record.value())) ? 0 : 1;
                }
            }
        }
        return different;
    }

    private static boolean isAsUndisturbed(Decoded<Completion> decoded) {
        if (!(decoded instanceof Decoded.Value<Completion> value)) {
            return false;
        }
        Completion c = value.value();
        if (c.getError() != null) {
            return c.getText().isEmpty() && Long.parseLong(c.getId().substring(1)) % 50 == 1;
        }
        String prompt = PromptFeeder.text(Long.parseLong(c.getId().substring(1)));
        return c.getText().equals(HashChainLoader.expected(prompt, PromptFeeder.TOKENS))
                && c.getFinishReason().equals("length")
                && c.getUsage().getCompletionTokens() == PromptFeeder.TOKENS;
    }

    @Override
    public void close() throws InterruptedException {
        flink.close();
        broker.close();
    }
}
