package dev.freshet.job;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.harness.JavaProcess;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.flink.api.common.JobID;
import org.apache.flink.client.deployment.StandaloneClusterId;
import org.apache.flink.client.program.rest.RestClusterClient;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A real standalone cluster: a JobManager and task managers as processes, from the class path of the tests. */
final class FlinkProcesses implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(FlinkProcesses.class);
    private static final String OPENS = "--add-opens=java.base/java.util=ALL-UNNAMED";

    private final Path directory;
    private final Configuration settings;
    private final int restPort;
    private final List<JavaProcess> taskManagers = new ArrayList<>();
    private final HttpClient http =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();
    private JavaProcess jobManager;

    FlinkProcesses(Path directory, int count, int slots) throws IOException {
        this.directory = directory;
        restPort = BrokerProcess.freePort();
        int rpcPort = BrokerProcess.freePort();
        Map<String, String> conf =
                new TreeMap<>(FlinkSettings.forCluster(restPort, directory).toMap());
        conf.put("jobmanager.rpc.address", "127.0.0.1");
        conf.put("jobmanager.rpc.port", String.valueOf(rpcPort));
        conf.put("jobmanager.memory.process.size", "900m");
        conf.put("taskmanager.host", "127.0.0.1");
        conf.put("taskmanager.numberOfTaskSlots", String.valueOf(slots));
        conf.put("heartbeat.interval", "1 s");
        conf.put("heartbeat.timeout", "6 s");
        settings = Configuration.fromMap(conf);
        Files.createDirectory(directory.resolve("conf"));
        StringBuilder yaml = new StringBuilder();
        conf.forEach(
                (key, value) -> yaml.append(key).append(": '").append(value).append("'\n"));
        Files.writeString(directory.resolve("conf/config.yaml"), yaml);
        jobManager = launchJobManager();
        for (int i = 0; i < count; i++) {
            taskManagers.add(launchTaskManager(i));
        }
    }

    private JavaProcess launchJobManager() throws IOException {
        return JavaProcess.start(
                "jobmanager",
                directory,
                List.of("-Xmx400m", OPENS, "-Dlog.file=" + directory.resolve("jobmanager.log")),
                "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
                List.of("--configDir", directory.resolve("conf").toString(), "--executionMode", "cluster"));
    }

    private static String id(int number) {
        return "taskmanager-" + number;
    }

    /** The memory keys are those that Flink's shell script computes. */
    private JavaProcess launchTaskManager(int number) throws IOException {
        List<String> arguments =
                new ArrayList<>(List.of("--configDir", directory.resolve("conf").toString()));
        Map<String, String> memory = new TreeMap<>(Map.of(
                "taskmanager.cpu.cores", "2.0",
                "taskmanager.memory.task.heap.size", "200m",
                "taskmanager.memory.task.off-heap.size", "64m",
                "taskmanager.memory.framework.heap.size", "128m",
                "taskmanager.memory.framework.off-heap.size", "64m",
                "taskmanager.memory.jvm-metaspace.size", "192m",
                "taskmanager.memory.jvm-overhead.min", "64m",
                "taskmanager.memory.jvm-overhead.max", "64m"));
        memory.put("taskmanager.resource-id", id(number));
        memory.forEach((key, value) -> {
            arguments.add("-D");
            arguments.add(key + "=" + value);
        });
        return JavaProcess.start(
                id(number),
                directory,
                List.of("-Xmx400m", "-XX:MaxDirectMemorySize=256m", OPENS, "--add-modules=jdk.incubator.vector"),
                "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
                arguments);
    }

    /** Returns when the cluster has so many free or used slots. */
    void await(int slots) throws InterruptedException {
        long start = System.nanoTime();
        while (System.nanoTime() - start < TimeUnit.MINUTES.toNanos(2)) {
            String overview = get("/overview");
            if (overview.contains("\"slots-total\":" + slots + ",")) {
                LOG.info("The cluster is up after {} ms", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
                return;
            }
            if (!jobManager.isAlive()) {
                throw new IllegalStateException("The JobManager has ended; see " + jobManager.log());
            }
            LockSupport.parkNanos(100_000_000);
        }
        throw new IllegalStateException("The cluster does not come up; see " + directory);
    }

    /** What the REST interface answers, or nothing. */
    String get(String path) throws InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + restPort + path))
                .timeout(Duration.ofSeconds(5))
                .build();
        try {
            return http.send(request, HttpResponse.BodyHandlers.ofString()).body();
        } catch (IOException e) {
            return "";
        }
    }

    /** Whether all tasks of a job run. */
    boolean isRunning(JobID job) throws InterruptedException, IOException {
        String answer = get("/jobs/" + job);
        JsonNode details = new ObjectMapper().readTree(answer.isEmpty() ? "{}" : answer);
        boolean all = details.path("state").asText().equals("RUNNING");
        for (JsonNode vertex : details.path("vertices")) {
            all &= vertex.path("tasks").path("RUNNING").asInt()
                    == vertex.path("parallelism").asInt();
        }
        return all;
    }

    /** How many tasks of a job are in a state. */
    int tasks(JobID job, String state) throws InterruptedException, IOException {
        String answer = get("/jobs/" + job);
        int count = 0;
        for (JsonNode vertex :
                new ObjectMapper().readTree(answer.isEmpty() ? "{}" : answer).path("vertices")) {
            count += vertex.path("tasks").path(state).asInt();
        }
        return count;
    }

    /** The numbers of the task managers on which tasks of a job run, at least one. */
    List<Integer> hosts(JobID job) throws InterruptedException, IOException {
        ObjectMapper json = new ObjectMapper();
        Set<Integer> hosts = new TreeSet<>();
        for (JsonNode vertex : json.readTree(get("/jobs/" + job)).path("vertices")) {
            JsonNode subtasks = json.readTree(
                    get("/jobs/" + job + "/vertices/" + vertex.path("id").asText()));
            for (JsonNode subtask : subtasks.path("subtasks")) {
                String id = subtask.path("taskmanager-id").asText();
                for (int i = 0; i < taskManagers.size(); i++) {
                    if (id.equals(id(i))) {
                        hosts.add(i);
                    }
                }
            }
        }
        if (hosts.isEmpty()) {
            throw new IllegalStateException("No task manager runs a task of job " + job);
        }
        return List.copyOf(hosts);
    }

    JobID submit(JobGraph graph) throws Exception {
        try (RestClusterClient<StandaloneClusterId> client = client()) {
            return client.submitJob(graph).get(1, TimeUnit.MINUTES);
        }
    }

    String stopWithSavepoint(JobID job, Path savepoints) throws Exception {
        try (RestClusterClient<StandaloneClusterId> client = client()) {
            return client.stopWithSavepoint(job, false, savepoints.toUri().toString(), SavepointFormatType.CANONICAL)
                    .get(1, TimeUnit.MINUTES);
        }
    }

    private RestClusterClient<StandaloneClusterId> client() throws Exception {
        Configuration rest = new Configuration(settings);
        rest.setString("rest.address", "127.0.0.1");
        return new RestClusterClient<>(rest, StandaloneClusterId.getInstance());
    }

    JavaProcess taskManager(int number) {
        return taskManagers.get(number);
    }

    /** Kills a task manager and starts another in its place. */
    void replaceTaskManager(int number) throws IOException, InterruptedException {
        taskManagers.get(number).kill();
        taskManagers.set(number, launchTaskManager(number));
    }

    /** Kills the JobManager and starts another, which knows no job. */
    void replaceJobManager() throws IOException, InterruptedException {
        jobManager.kill();
        jobManager = launchJobManager();
    }

    /** Kills everything at once, as a power cut does. */
    void kill() throws InterruptedException {
        for (JavaProcess process : processes()) {
            process.kill();
        }
    }

    /** Every process of the cluster. */
    List<JavaProcess> processes() {
        List<JavaProcess> all = new ArrayList<>(taskManagers);
        all.add(jobManager);
        return all;
    }

    @Override
    public void close() throws InterruptedException {
        for (JavaProcess taskManager : taskManagers) {
            taskManager.close();
        }
        jobManager.close();
    }
}
