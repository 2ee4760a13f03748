package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.freshet.harness.JavaProcess;
import dev.freshet.model.TestModels;
import dev.freshet.schema.Completion;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The stream with {@code --kernels cuda} on the emulated driver: {@code freshet run} in a process of its own against a real broker,
 * killed in the middle and started again. A process of its own, for a driver that is loaded once would be found by every later test.
 */
class CudaStreamITCase {

    private static final Path EMULATOR =
            Path.of(System.getProperty("freshet.root", "..")).resolve("gpu-native/target/kernels");
    private static final int RECORDS = 60;
    private static final int BEFORE_THE_KILL = 12;
    private static final Duration POLL = Duration.ofMillis(50);

    @TempDir
    private static Path directory;

    @SuppressWarnings("NullAway.Init") // Started before any test.
    private static EmbeddedKafka kafka;

    @BeforeAll
    static void start() throws Exception {
        assumeTrue(Files.exists(EMULATOR.resolve("libcuda.so.1")), "g++ was missing when gpu-native was built");
        kafka = EmbeddedKafka.start(directory);
        TestModels.write(directory.resolve("model"), new TestModels.Shape("relu+", 400, 2, 16, 3, 512, 1));
    }

    @AfterAll
    static void stop() {
        if (kafka != null) {
            kafka.close();
        }
    }

    private static Map<String, String> values(String name, String kernels) {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("job.name", name);
        values.put("kafka.bootstrap.servers", kafka.bootstrapServers());
        values.put("model.directory", directory.resolve("model").toString());
        values.put("model.kernels", kernels);
        values.put("model.threads", "1");
        values.put("engine.slots", "8");
        values.put("input.topic", name + ".prompts");
        values.put("input.start", "earliest");
        values.put("completions.topic", name + ".completions");
        values.put("metrics.topic", "none");
        values.put("topics.partitions", "2");
        values.put("checkpoint.interval", "100 ms");
        values.put("checkpoint.directory", directory.resolve("checkpoints").toString());
        return values;
    }

    private static void feed(JobOptions options) throws Exception {
        Preflight.run(options);
        try (PromptFeed feed = new PromptFeed(options)) {
            feed.send(Workload.records(RECORDS, options));
        }
    }

    private static JavaProcess run(Map<String, String> values) throws Exception {
        List<String> arguments = new ArrayList<>();
        arguments.addAll(List.of("run", "--port", "0", "--kernels", "cuda"));
        values.forEach((key, value) -> {
            arguments.add("-D");
            arguments.add(key + "=" + value);
        });
        return JavaProcess.start(
                "run",
                directory,
                Map.of("LD_LIBRARY_PATH", EMULATOR.toString()),
                // Where nvcc was missing, the images that the emulated driver takes.
                System.getProperty("java.class.path") + ":" + EMULATOR.resolve("stand-ins"),
                List.of(
                        "-Xmx512m",
                        "--add-modules=jdk.incubator.vector",
                        "-Dorg.apache.avro.SERIALIZABLE_PACKAGES=dev.freshet",
                        "-Djava.io.tmpdir=" + directory),
                "dev.freshet.cli.Freshet",
                arguments);
    }

    /** Reads outcomes until there are so many; the process must live meanwhile. */
    private static Map<String, Completion> await(JobOptions options, int count, JavaProcess process) throws Exception {
        Map<String, Completion> out = new TreeMap<>();
        try (TopicTail tail = new TopicTail(options, true)) {
            for (int outcomes = 0; outcomes < count; ) {
                assertThat(process.isAlive())
                        .as(() -> "the job lives: " + text(process.log()))
                        .isTrue();
                for (TopicTail.Item item : tail.poll(POLL)) {
                    if (item.value() instanceof Completion completion) {
                        out.put(completion.getId(), completion);
                        outcomes++;
                    } else if (item.value() instanceof TopicTail.Letter) {
                        outcomes++;
                    }
                }
            }
        }
        return out;
    }

    private static String text(Path log) {
        try {
            return Files.readString(log);
        } catch (java.io.IOException e) {
            return String.valueOf(e);
        }
    }

    /** The same prompts with the kernels that define the results, in this process and undisturbed. */
    private static Map<String, Completion> expected() throws Exception {
        Map<String, String> values = values("defined", "reference");
        values.put("input.bounded", "true");
        JobOptions options = JobOptions.of(values);
        feed(options);
        try (LocalJob job = LocalJob.start(options, GenerateJob.model(options), 0, directory)) {
            while (job.phase() != LocalJob.Phase.FINISHED) {
                assertThat(job.phase()).isNotEqualTo(LocalJob.Phase.FAILED);
                Thread.sleep(20);
            }
        }
        Map<String, Completion> out = new TreeMap<>();
        try (TopicTail tail = new TopicTail(options, true)) {
            for (int left = RECORDS - Workload.bad(RECORDS); left > 0; ) {
                for (TopicTail.Item item : tail.poll(POLL)) {
                    if (item.value() instanceof Completion completion && completion.getError() == null) {
                        out.put(completion.getId(), completion);
                        left--;
                    }
                }
            }
        }
        return out;
    }

    @Test
    void aKilledJobOnTheDeviceLosesNothingAndChangesNothing() throws Exception {
        Map<String, Completion> expected = expected();
        Map<String, String> values = values("device", "cuda");
        JobOptions options = JobOptions.of(values);
        feed(options);
        try (JavaProcess process = run(values)) {
            await(options, BEFORE_THE_KILL, process);
        }
        Map<String, Completion> found;
        try (JavaProcess process = run(values)) {
            found = await(options, RECORDS, process);
        }
        Verification law = TopicVerifier.verify(options, 10);
        assertThat(law.holds()).as("%s", law).isTrue();
        assertThat(law.inputs()).isEqualTo(RECORDS);
        assertThat(law.completions()).isEqualTo(RECORDS - Workload.bad(RECORDS));
        assertThat(law.resumed()).as("resumed in the middle").isPositive();
        assertThat(expected).hasSize(RECORDS - Workload.bad(RECORDS));
        expected.forEach((id, want) -> {
            Completion got = Objects.requireNonNull(found.get(id), id);
            assertThat(got.getText()).as(id).isEqualTo(want.getText());
            assertThat(got.getTokenIds()).as(id).isEqualTo(want.getTokenIds());
            assertThat(got.getBackend()).isEqualTo("cuda");
        });
    }
}
