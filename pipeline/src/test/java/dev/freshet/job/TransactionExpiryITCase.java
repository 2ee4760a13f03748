package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.harness.HashChainLoader;
import dev.freshet.harness.KafkaProxy;
import dev.freshet.operator.Outbound;
import dev.freshet.request.ConfigError;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A checkpoint is complete, its commit does not reach the broker, and the broker gives the transaction up before the job is back:
 * the stock sink then loses a checkpoint's worth of outcomes without an error.
 */
class TransactionExpiryITCase {

    private static final Logger LOG = LoggerFactory.getLogger(TransactionExpiryITCase.class);
    private static final int PROMPTS = 20;
    private static final int MORE = 5;
    private static final int TOKENS = 8;

    @TempDir
    private static Path directory;

    @SuppressWarnings("NullAway.Init") // Started before any test.
    private static KafkaProxy proxy;

    @SuppressWarnings("NullAway.Init") // Started before any test.
    private static EmbeddedKafka kafka;

    @SuppressWarnings("NullAway.Init") // Started before any test.
    private static LocalCluster cluster;

    private static int number;

    /** What becomes of a transaction between its checkpoint and the restore. */
    private enum Fate {
        /** The commit does not arrive, and the broker gives the transaction up. */
        EXPIRED,
        /** The commit does not arrive, and the broker still holds the transaction open. */
        OPEN,
        /** The commit arrives; only the job does not live to know. */
        COMMITTED
    }

    @BeforeAll
    static void start() throws Exception {
        proxy = new KafkaProxy();
        kafka = EmbeddedKafka.start(
                directory,
                Map.of(
                        "advertised.listeners",
                        "PLAINTEXT://127.0.0.1:" + proxy.port(),
                        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
                        "200"));
        proxy.target(kafka.port());
        cluster = LocalCluster.start(
                FlinkSettings.forLocalCluster(FlinkSettings.forJob(options(2, 1, Map.of())), 0, directory), 2);
    }

    @AfterAll
    static void stop() throws Exception {
        cluster.close();
        kafka.close();
        proxy.close();
    }

    private static JobOptions options(int timeoutSeconds, int parallelism, Map<String, String> more) {
        Map<String, String> values = new HashMap<>();
        values.put("job.name", "expiry" + number);
        values.put("job.parallelism", String.valueOf(parallelism));
        values.put("kafka.bootstrap.servers", "127.0.0.1:" + proxy.port());
        values.put("model.directory", "none");
        values.put("input.topic", "prompts" + number);
        values.put("completions.topic", "completions" + number);
        values.put("chunks.topic", "none");
        values.put("metrics.topic", "none");
        values.put("delivery.transaction-timeout", timeoutSeconds + " s");
        values.put("checkpoint.interval", "1 h");
        values.put(
                "checkpoint.directory",
                directory.resolve("checkpoints" + number).toString());
        values.putAll(more);
        return JobOptions.of(values);
    }

    private static JobID submit(JobOptions options, boolean stock) throws Exception {
        StreamExecutionEnvironment env = new StreamExecutionEnvironment(FlinkSettings.forJob(options));
        HashChainLoader model = new HashChainLoader(100, 200);
        if (stock) {
            Sink<Outbound> sink = GenerateJob.transactional(
                    GenerateJob.outcomes(options, new OutcomeRecords(options, "test")), options);
            GenerateJob.define(env, options, model, sink);
        } else {
            GenerateJob.define(env, options, model);
        }
        return cluster.submit(env.getStreamGraph().getJobGraph());
    }

    private static void send(TestTopics topics, int first, int count) throws Exception {
        for (int i = first; i < first + count; i++) {
            Prompt prompt = TestTopics.prompt("r" + i, "word");
            prompt.setMaxTokens((long) TOKENS);
            topics.send(i % 2, topics.encoded(prompt));
        }
    }

    private static long written(JobOptions options, String isolation) {
        return read(options, isolation).size();
    }

    private static List<ConsumerRecord<byte[], byte[]>> read(JobOptions options, String isolation) {
        Map<String, Object> client = Map.of(
                "bootstrap.servers",
                options.kafka().get("bootstrap.servers"),
                "isolation.level",
                isolation,
                "auto.offset.reset",
                "earliest");
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(client, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            String topic = options.output().completions().topic();
            List<TopicPartition> partitions = List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.getOrDefault(p, 0L))) {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            }
            return records;
        }
    }

    private static void await(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (!condition.call()) {
            assertThat(System.nanoTime()).as("waiting until " + what).isLessThan(deadline);
            LockSupport.parkNanos(50_000_000);
        }
        LOG.info("{}", what);
    }

    /** Flink takes checkpoints of its own when a job starts; one that is asked for comes after them. */
    private static boolean isCheckpointed(JobID job) throws InterruptedException {
        try {
            cluster.checkpoint(job);
            return true;
        } catch (ExecutionException e) {
            return false;
        }
    }

    private static boolean isUndecided(JobOptions options) throws Exception {
        try (Admin admin = Admin.create(Map.<String, Object>copyOf(options.kafka()))) {
            for (TransactionListing listing : admin.listTransactions().all().get()) {
                boolean over = listing.state() == TransactionState.COMPLETE_ABORT
                        || listing.state() == TransactionState.COMPLETE_COMMIT
                        || listing.state() == TransactionState.EMPTY;
                if (listing.transactionalId().startsWith(Transactions.prefix(options.name())) && !over) {
                    return true;
                }
            }
        }
        return false;
    }

    private static String newestCheckpoint(JobOptions options) throws IOException {
        try (Stream<Path> files = Files.walk(Path.of(options.checkpoints().directory()))) {
            return files.filter(file -> file.endsWith("_metadata"))
                    .map(file ->
                            Objects.requireNonNull(file.getParent()).toUri().toString())
                    .max(String::compareTo)
                    .orElseThrow();
        }
    }

    /** Runs a job until its transaction has met its fate, restores it, and returns what the topics say then. */
    private Verification restore(Fate fate, boolean stock, int before, int after) throws Exception {
        number++;
        LOG.info("{}, from {} to {} subtasks", fate, before, after);
        JobOptions options = options(fate == Fate.EXPIRED ? 2 : 600, before, Map.of());
        try (TestTopics topics = new TestTopics(options)) {
            JobID job = submit(options, stock);
            await("the job runs and its first checkpoints are over", () -> isCheckpointed(job));
            send(topics, 0, PROMPTS);
            await("all outcomes are written", () -> written(options, "read_uncommitted") == PROMPTS);
            if (fate != Fate.COMMITTED) {
                proxy.hold(KafkaProxy.END_TXN);
            }
            cluster.checkpoint(job);
            if (fate == Fate.COMMITTED) {
                await("all outcomes are committed", () -> written(options, "read_committed") == PROMPTS);
            } else {
                proxy.awaitHeld(30_000);
                assertThat(written(options, "read_committed")).isZero();
            }
            if (fate == Fate.EXPIRED) {
                await("the broker has given the transactions up", () -> !isUndecided(options));
                proxy.drop();
            }
            cluster.cancel(job);
            proxy.drop();
            JobOptions again =
                    options(600, after, Map.of("flink.execution.state-recovery.path", newestCheckpoint(options)));
            JobID second = submit(again, stock);
            send(topics, PROMPTS, MORE);
            int rewritten = fate == Fate.EXPIRED && !stock ? PROMPTS : 0;
            await(
                    "the new and the missing outcomes are written",
                    () -> written(options, "read_uncommitted") >= PROMPTS + MORE + rewritten);
            cluster.checkpoint(second);
            await("everything is committed", () -> !isUndecided(options));
            cluster.cancel(second);
            return topics.verify();
        }
    }

    @Test
    void theStockSinkLosesACheckpointsWorth() throws Exception {
        Verification v = restore(Fate.EXPIRED, true, 1, 1);
        assertThat(v.missing().count()).isEqualTo(PROMPTS);
        assertThat(v.completions()).isEqualTo(MORE);
    }

    /** From two subtasks to one and back, so that the outcomes and their transactions may go to different subtasks. */
    @ParameterizedTest
    @CsvSource({"EXPIRED, 2, 1", "EXPIRED, 1, 2", "OPEN, 2, 1", "COMMITTED, 1, 2"})
    void oursLosesAndDoublesNothing(Fate fate, int before, int after) throws Exception {
        Verification v = restore(fate, false, before, after);
        assertThat(v.holds()).as(v.toString()).isTrue();
        assertThat(v.completions()).isEqualTo(PROMPTS + MORE);
    }

    @Test
    void aCommitThatComesTooLateFailsTheTaskAndLosesNothing() throws Exception {
        number++;
        JobOptions options = options(2, 1, Map.of());
        try (TestTopics topics = new TestTopics(options)) {
            JobID job = submit(options, false);
            await("the job runs and its first checkpoints are over", () -> isCheckpointed(job));
            send(topics, 0, PROMPTS);
            await("all outcomes are written", () -> written(options, "read_uncommitted") == PROMPTS);
            proxy.hold(KafkaProxy.END_TXN);
            cluster.checkpoint(job);
            proxy.awaitHeld(30_000);
            await("the broker has given the transaction up", () -> !isUndecided(options));
            proxy.release();
            await(
                    "what is missing is written again and committed",
                    () -> isCheckpointed(job) && written(options, "read_committed") == PROMPTS);
            cluster.cancel(job);
            assertThat(topics.verify().holds()).isTrue();
        }
    }

    @Test
    void atLeastOnceRepeatsTheSameTexts() throws Exception {
        number++;
        JobOptions options = options(600, 1, Map.of("delivery.guarantee", "at-least-once"));
        try (TestTopics topics = new TestTopics(options)) {
            JobID job = submit(options, false);
            await("the job runs and its first checkpoints are over", () -> isCheckpointed(job));
            String before = newestCheckpoint(options);
            send(topics, 0, PROMPTS);
            await(
                    "all outcomes can be read before any checkpoint",
                    () -> written(options, "read_committed") == PROMPTS);
            cluster.cancel(job);
            JobID second = submit(
                    options(
                            600,
                            1,
                            Map.of(
                                    "delivery.guarantee",
                                    "at-least-once",
                                    "flink.execution.state-recovery.path",
                                    before)),
                    false);
            await("all outcomes came again", () -> written(options, "read_committed") == 2 * PROMPTS);
            cluster.cancel(second);
            Verification v = topics.verify();
            assertThat(v.missing().count()).isZero();
            assertThat(v.corrupt().count()).isZero();
            assertThat(v.twice().count()).isGreaterThanOrEqualTo(PROMPTS);
            Map<String, List<String>> answers = answers(options);
            assertThat(answers).hasSize(PROMPTS);
            answers.values().forEach(same -> {
                assertThat(same).hasSize(2);
                assertThat(same.get(0)).isEqualTo(same.get(1));
            });
        }
    }

    /** By id, everything that an answer says but for its times. */
    private static Map<String, List<String>> answers(JobOptions options) {
        RecordDecoder<Completion> decoder =
                options.output().completions().format().decoder(RecordType.COMPLETION);
        Map<String, List<String>> answers = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : read(options, "read_committed")) {
            Completion c = ((Decoded.Value<Completion>) decoder.decode(record.value())).value();
            c.setMetrics(null);
            c.setCreated(0L);
            answers.computeIfAbsent(c.getId(), id -> new ArrayList<>()).add(c.toString());
        }
        return answers;
    }

    @Test
    void openTransactionsOfADeadRunWithMoreSubtasksAreAborted() throws Exception {
        number++;
        JobOptions options = options(600, 1, Map.of());
        try (TestTopics topics = new TestTopics(options)) {
            Map<String, Object> client = new HashMap<>(options.kafka());
            client.put("transactional.id", Transactions.prefix(options.name()) + "-3-0");
            client.put("transaction.timeout.ms", "600000");
            KafkaProducer<byte[], byte[]> dead =
                    new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer());
            dead.initTransactions();
            dead.beginTransaction();
            for (int partition = 0; partition < 2; partition++) {
                dead.send(new ProducerRecord<>(options.output().completions().topic(), partition, null, new byte[] {1}))
                        .get();
            }
            dead.close(Duration.ZERO);
            assertThat(isUndecided(options)).isTrue();
            send(topics, 0, PROMPTS);
            JobID job = submit(options, false);
            await("all outcomes are written", () -> written(options, "read_uncommitted") == PROMPTS + 2);
            cluster.checkpoint(job);
            await("a reader gets them", () -> written(options, "read_committed") == PROMPTS);
            cluster.cancel(job);
            assertThat(topics.verify().holds()).isTrue();
        }
    }

    /** Both would answer every prompt, and each would abort the other's transactions. */
    @Test
    void aSecondJobOfTheSameNameIsRefusedAndTheFirstGoesOn() throws Exception {
        number++;
        JobOptions options = options(600, 1, Map.of());
        try (TestTopics topics = new TestTopics(options)) {
            JobID first = submit(options, false);
            await("the job runs and its first checkpoints are over", () -> isCheckpointed(first));
            JobID second = submit(options, false);
            JobResult result = cluster.await(second);
            Throwable why = result.getSerializedThrowable()
                    .orElseThrow()
                    .deserializeError(TransactionExpiryITCase.class.getClassLoader());
            assertThat(why).hasRootCauseInstanceOf(ConfigError.class);
            assertThat(why).rootCause().hasMessageContaining("expected no other of the name " + options.name());
            send(topics, 0, PROMPTS);
            await("all outcomes are written", () -> written(options, "read_uncommitted") == PROMPTS);
            cluster.checkpoint(first);
            await("all outcomes are committed", () -> written(options, "read_committed") == PROMPTS);
            cluster.cancel(first);
            assertThat(topics.verify().holds()).isTrue();
            // The lease was given back: whoever comes next need not wait for a dead one.
            JobID third = submit(options, false);
            await("another job of the name runs", () -> isCheckpointed(third));
            cluster.cancel(third);
        }
    }
}
