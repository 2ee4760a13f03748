package dev.freshet.dist;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.job.JobOptions;
import dev.freshet.job.PromptFeed;
import dev.freshet.job.TopicTail;
import dev.freshet.schema.Completion;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.CleanupMode;
import org.junit.jupiter.api.io.TempDir;

/** The job jar on a real Flink cluster and a real broker, each in processes of their own. */
class DeploymentITCase {

    private static final int PROMPTS = 24;
    private static final Pattern SAVEPOINT = Pattern.compile("Savepoint completed. Path: (\\S+)");

    private static void send(JobOptions options, String prefix) throws Exception {
        List<byte[]> prompts = new ArrayList<>();
        for (int i = 0; i < PROMPTS; i++) {
            prompts.add(("{\"custom_id\":\"" + prefix + i + "\",\"url\":\"/v1/completions\",\"body\":"
                            + "{\"prompt\":\"The little fox\",\"max_tokens\":" + (8 + i) + ",\"temperature\":0}}")
                    .getBytes(StandardCharsets.UTF_8));
        }
        prompts.add("no request".getBytes(StandardCharsets.UTF_8));
        try (PromptFeed feed = new PromptFeed(options)) {
            feed.send(prompts);
        }
    }

    /** Reads until so many answers have come. */
    private static List<Completion> answers(JobOptions options, int count) throws Exception {
        List<Completion> answers = new ArrayList<>();
        long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(4);
        try (TopicTail tail = new TopicTail(options, true)) {
            while (answers.size() < count && System.nanoTime() - deadline < 0) {
                for (TopicTail.Item item : tail.poll(Duration.ofMillis(200))) {
                    if (item.value() instanceof Completion completion) {
                        answers.add(completion);
                    }
                }
            }
        }
        return answers;
    }

    private static void assertAnswered(List<Completion> answers, int count) {
        assertThat(answers).hasSize(count).allSatisfy(answer -> {
            assertThat(answer.getError()).isNull();
            assertThat(answer.getText()).isNotEmpty();
            assertThat(answer.getBackend()).isEqualTo("vector");
        });
        assertThat(new HashSet<>(answers.stream().map(Completion::getId).toList()))
                .hasSize(count);
    }

    private static double sum(Map<String, Double> samples, String metric) {
        return samples.entrySet().stream()
                .filter(sample -> sample.getKey().startsWith(metric + "{"))
                .mapToDouble(Map.Entry::getValue)
                .sum();
    }

    @Test
    void theServicesOfTheComposeFileAnswerAndTellEveryMetricOfTheDashboard(
            @TempDir(cleanup = CleanupMode.ON_SUCCESS) Path directory) throws Exception {
        try (ComposeProcesses processes = new ComposeProcesses(directory)) {
            processes.startKafka();
            processes.startApplication();
            processes.startTaskManager(2);
            processes.awaitJob();
            send(processes.options(), "r");
            assertAnswered(answers(processes.options(), PROMPTS), PROMPTS);

            Map<String, Double> samples = processes.metrics();
            Set<String> names = new HashSet<>();
            samples.keySet().forEach(sample -> names.add(sample.replaceAll("\\{.*", "")));
            assertThat(Deployed.metricNames()).hasSizeGreaterThan(25);
            assertThat(names).containsAll(Deployed.metricNames());
            String operator = "flink_taskmanager_job_task_operator_";
            assertThat(Deployed.documentedMetrics()).hasSizeGreaterThan(25).allSatisfy(metric -> assertThat(names)
                    .anyMatch(name -> name.startsWith(operator + "llm_") && name.endsWith("_" + metric)));
            assertThat(sum(samples, operator + "llm_finishedReason_numRequestsSucceeded"))
                    .isEqualTo(PROMPTS);
            assertThat(sum(samples, operator + "llm_numDeadLettered")).isEqualTo(1);
            assertThat(sum(samples, operator + "llm_numGenerationTokens")).isGreaterThan(PROMPTS * 8.0);
            assertThat(sum(samples, operator + "llm_stateSlotsTotal")).isEqualTo(32);
            assertThat(sum(samples, "flink_jobmanager_job_numberOfCompletedCheckpoints"))
                    .isPositive();
            assertThat(samples.keySet()).anySatisfy(sample -> assertThat(sample)
                    .startsWith(operator + "llm_backend_backend{")
                    .contains("backend=\"vector\"", "operator_name=\"generate\"", "job_name=\"freshet\""));
        }
    }

    @Test
    @Tag("nightly")
    void flinkRunSubmitsStopsAndGoesOnFromASavepoint(@TempDir(cleanup = CleanupMode.ON_SUCCESS) Path directory)
            throws Exception {
        String jar = Deployed.JOB_JAR.toAbsolutePath().toString();
        try (ComposeProcesses processes = new ComposeProcesses(directory)) {
            processes.startKafka();
            processes.startSession();
            processes.startTaskManager(2);
            String config = processes.jobConfig().toString();
            processes.flink("run", "-d", jar, "--config", config);
            String job = processes.awaitJob();
            send(processes.options(), "a");
            assertAnswered(answers(processes.options(), PROMPTS), PROMPTS);

            String stopped = processes.flink(
                    "stop", "--savepointPath", directory.resolve("savepoints").toString(), job);
            Matcher savepoint = SAVEPOINT.matcher(stopped);
            assertThat(savepoint.find()).as(stopped).isTrue();
            send(processes.options(), "b");
            processes.flink("run", "-d", "-s", savepoint.group(1), jar, "--config", config, "--job.parallelism", "1");
            processes.awaitJob();
            assertAnswered(answers(processes.options(), 2 * PROMPTS), 2 * PROMPTS);
            assertThat(processes.get("/jobs/" + processes.awaitJob() + "/checkpoints"))
                    .contains("\"is_savepoint\":true", savepoint.group(1));
        }
    }
}
