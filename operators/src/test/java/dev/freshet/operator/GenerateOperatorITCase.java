package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.checkpoint.CheckpointStatsSnapshot;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The operator in a real task: does the mailbox still take input, barriers and timers in turn when the engine steps through it? */
class GenerateOperatorITCase {

    private static final int SLOTS = 8;
    private static final int TOKENS = 40;
    private static final Queue<Completion> COMPLETIONS = new ConcurrentLinkedQueue<>();
    private static final Queue<Metric> METRICS = new ConcurrentLinkedQueue<>();
    private static final AtomicInteger UNTIL_FAILURE = new AtomicInteger();
    private static final AtomicBoolean FAILED = new AtomicBoolean();

    @SuppressWarnings("NullAway.Init") // Started before any test.
    private static MiniCluster cluster;

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        Configuration settings = new Configuration();
        settings.setString("rest.port", "0");
        settings.setString("rest.bind-address", "localhost");
        settings.setString("taskmanager.memory.network.min", "16 mb");
        settings.setString("taskmanager.memory.network.max", "16 mb");
        settings.setString("taskmanager.memory.managed.size", "16 mb");
        settings.setString("io.tmp.dirs", directory.toString());
        cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
                .setConfiguration(settings)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(1)
                .build());
        cluster.start();
    }

    @AfterAll
    static void stop() throws Exception {
        cluster.close();
    }

    @BeforeEach
    void clear() {
        COMPLETIONS.clear();
        METRICS.clear();
        UNTIL_FAILURE.set(Integer.MAX_VALUE);
        FAILED.set(false);
    }

    /** Two milliseconds a step: a model slow enough that everything happens while it works. */
    private static ServedModel slowModel(int slots) {
        HashChainModel model = new HashChainModel(LetterTexts.VOCABULARY, 200, slots);
        model.beforeForward(() -> LockSupport.parkNanos(2_000_000));
        return new ServedModel(
                model, new LetterTexts(), Set.of(LetterTexts.END), "hash-chain", "fingerprint", "fake", () -> {});
    }

    private static Inbound prompt(long i) {
        Origin origin = new Origin("prompts", 0, i, -1, null, List.of());
        return new Inbound.Prompt(
                ServingBench.prompt("r" + i, "word" + (char) ('a' + i % 26), TOKENS),
                Long.toString(i).getBytes(StandardCharsets.UTF_8),
                origin);
    }

    private static JobID submit(long prompts) throws Exception {
        Configuration settings = new Configuration();
        settings.setString("pipeline.generic-types", "false");
        settings.setString("execution.checkpointing.interval", "100 ms");
        settings.setString("restart-strategy.type", "fixed-delay");
        settings.setString("restart-strategy.fixed-delay.delay", "10 ms");
        StreamExecutionEnvironment env = new StreamExecutionEnvironment(settings);
        env.setParallelism(1);
        OperatorOptions options = ServingBench.options(SLOTS);
        SingleOutputStreamOperator<Outbound> outcomes = env.fromSequence(0, prompts - 1)
                .map(GenerateOperatorITCase::prompt)
                .returns(RecordTypes.INBOUND)
                .transform(
                        "generate",
                        RecordTypes.OUTBOUND,
                        new GenerateOperatorFactory(options, GenerateOperatorITCase::slowModel))
                .uid("generate");
        outcomes.map(new FailOnce())
                .returns(RecordTypes.OUTBOUND)
                .sinkTo(new Collecting<>(GenerateOperatorITCase::keep));
        outcomes.getSideOutput(RecordTypes.METRICS).sinkTo(new Collecting<>(GenerateOperatorITCase::keepMetric));
        return cluster.submitJob(env.getStreamGraph().getJobGraph()).get().getJobID();
    }

    private static void keep(Outbound outcome) {
        COMPLETIONS.add(((Outbound.Completed) outcome).completion());
    }

    private static void keepMetric(Metric metric) {
        METRICS.add(metric);
    }

    private static void assertEveryTextIsRight(int prompts) {
        assertThat(COMPLETIONS.stream().map(Completion::getId).distinct()).hasSize(prompts);
        for (Completion c : COMPLETIONS) {
            long i = Long.parseLong(c.getId().substring(1));
            assertThat(c.getText()).isEqualTo(ServingBench.expected("word" + (char) ('a' + i % 26), TOKENS));
        }
    }

    @Test
    void slotsStayFullAndCheckpointsPassWhileInputWaits() throws Exception {
        int prompts = 200;
        JobID job = submit(prompts);
        JobResult result = cluster.requestJobResult(job).get();
        assertThat(result.isSuccess()).isTrue();
        assertEveryTextIsRight(prompts);
        assertThat(COMPLETIONS).hasSize(prompts);
        Metric summary = METRICS.stream()
                .filter(m -> m.getKind().equals("summary"))
                .findFirst()
                .orElseThrow();
        assertThat(summary.getGenerationTokensTotal()).isEqualTo((long) prompts * TOKENS);
        // 200 texts of 40 tokens in 8 slots are 1000 steps when every slot is always taken.
        assertThat(summary.getBatchOccupancy()).isGreaterThan(0.95);
        assertThat(METRICS.stream().filter(m -> m.getKind().equals("interval"))).isNotEmpty();
        CheckpointStatsSnapshot checkpoints =
                cluster.getArchivedExecutionGraph(job).get().getCheckpointStatsSnapshot();
        assertThat(checkpoints.getCounts().getNumberOfCompletedCheckpoints()).isGreaterThan(5);
        long longest = checkpoints.getSummaryStats().getEndToEndDurationStats().getMaximum();
        assertThat(longest).isLessThan(Duration.ofSeconds(2).toMillis());
    }

    @Test
    void aFailedTaskResumesInTheMiddleOfItsTexts() throws Exception {
        int prompts = 120;
        UNTIL_FAILURE.set(60);
        JobID job = submit(prompts);
        assertThat(cluster.requestJobResult(job).get().isSuccess()).isTrue();
        assertThat(FAILED).isTrue();
        assertEveryTextIsRight(prompts);
        assertThat(COMPLETIONS.stream().filter(c -> c.getMetrics().getResumedFromCheckpoint() > 0))
                .isNotEmpty();
    }

    /** Fails the task once, when so many outcomes have passed and a checkpoint with sequences in flight exists. */
    private static final class FailOnce implements MapFunction<Outbound, Outbound> {
        private static final long serialVersionUID = 1L;

        @Override
        public Outbound map(Outbound outcome) {
            if (UNTIL_FAILURE.decrementAndGet() <= 0 && FAILED.compareAndSet(false, true)) {
                throw new IllegalStateException("injected failure");
            }
            return outcome;
        }
    }

    /** Where a sink of this test puts what it gets. */
    private interface Keep<T> extends java.io.Serializable {
        void keep(T record);
    }

    /** A sink that hands records to the test in the same process. */
    private record Collecting<T>(Keep<T> target) implements Sink<T> {
        @Override
        public SinkWriter<T> createWriter(WriterInitContext context) {
            return new SinkWriter<>() {
                @Override
                public void write(T element, Context ignored) {
                    target.keep(element);
                }

                @Override
                public void flush(boolean endOfInput) {}

                @Override
                public void close() {}
            };
        }
    }
}
