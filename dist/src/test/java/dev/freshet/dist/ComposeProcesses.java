package dev.freshet.dist;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.harness.JavaProcess;
import dev.freshet.job.ConfigFile;
import dev.freshet.job.JobOptions;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessSpec;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessUtils;
import org.apache.flink.runtime.util.config.memory.ProcessMemoryUtils;
import org.apache.kafka.clients.admin.Admin;

/**
 * The services of docker-compose.yml as processes of this machine, without Docker: Kafka with the properties that its image makes of
 * the environment, Flink from the jars of its distribution alone with deploy/flink/config.yaml, and the job from the job jar, child
 * first. Only addresses and folders are others.
 */
final class ComposeProcesses implements AutoCloseable {

    private static final Duration START = Duration.ofMinutes(4);

    private final Path directory;
    private final Path flink = Deployed.ROOT.resolve("dist/target/flink");
    private final Configuration settings;
    private final int kafkaPort = freePort();
    private final int restPort = freePort();
    private final int jobManagerMetrics = freePort();
    private final int taskManagerMetrics = freePort();
    private final List<JavaProcess> processes = new ArrayList<>();
    private final HttpClient http =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();

    ComposeProcesses(Path directory) throws Exception {
        this.directory = directory;
        int rpcPort = freePort();
        Path home = Files.createDirectories(directory.resolve("flink"));
        Files.createDirectories(home.resolve("usrlib"));
        Path conf = Files.createDirectories(home.resolve("conf"));
        Files.writeString(
                conf.resolve("config.yaml"),
                Files.readString(Deployed.ROOT.resolve("deploy/flink/config.yaml"))
                                .replace("0.0.0.0", "127.0.0.1")
                                .replace("prom.port: 9249", "prom.port: " + jobManagerMetrics)
                        + "rest.port: " + restPort + "\njobmanager.rpc.address: 127.0.0.1\njobmanager.rpc.port: "
                        + rpcPort
                        + "\ntaskmanager.host: 127.0.0.1\nio.tmp.dirs: " + directory + "\n");
        Files.writeString(
                conf.resolve("log4j2.properties"),
                "rootLogger.level = INFO\nrootLogger.appenderRef.console.ref = console\nappender.console.name = console\n"
                        + "appender.console.type = Console\nappender.console.layout.type = PatternLayout\n"
                        + "appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n\n");
        settings = GlobalConfiguration.loadConfiguration(conf.toString());
        Files.writeString(jobConfig(), here(Files.readString(Deployed.ROOT.resolve("deploy/freshet.yaml"))));
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** Puts addresses and folders of this machine in the place of those in the containers. */
    private String here(String text) {
        return text.replace("kafka:19092", "127.0.0.1:" + kafkaPort)
                .replace(
                        "/opt/freshet/models",
                        Deployed.ROOT
                                .resolve("models")
                                .toAbsolutePath()
                                .normalize()
                                .toString())
                .replace("/opt/freshet/freshet.yaml", jobConfig().toString())
                .replace("/opt/freshet/state", directory.resolve("state").toString());
    }

    /** The job's configuration with the addresses of this machine. */
    Path jobConfig() {
        return directory.resolve("freshet.yaml");
    }

    /** The job's options as its clients need them. */
    JobOptions options() {
        return JobOptions.of(ConfigFile.read(jobConfig(), Map.of()));
    }

    /** Starts the broker as its image does and waits for it: KAFKA_A_B in the environment is the property a.b. */
    void startKafka() throws Exception {
        Map<String, String> environment = Deployed.environment("kafka");
        StringBuilder properties = new StringBuilder();
        int external = freePort();
        int controller = freePort();
        environment.forEach((key, value) -> {
            if (key.startsWith("KAFKA_")) {
                properties
                        .append(key.substring("KAFKA_".length())
                                .toLowerCase(Locale.ROOT)
                                .replace('_', '.'))
                        .append('=')
                        .append(here(value)
                                .replace("0.0.0.0:19092", "127.0.0.1:" + kafkaPort)
                                .replace("0.0.0.0", "127.0.0.1")
                                .replace("kafka:9093", "127.0.0.1:" + controller)
                                .replace(":9093", ":" + controller)
                                .replace(":9092", ":" + external)
                                .replace(
                                        "/var/lib/kafka/data",
                                        directory.resolve("kafka").toString()))
                        .append('\n');
            }
        });
        Path file = Files.writeString(directory.resolve("server.properties"), properties);
        try (JavaProcess format = JavaProcess.start(
                "format",
                directory,
                List.of("-Xmx200m"),
                "kafka.tools.StorageTool",
                List.of("format", "-t", environment.getOrDefault("CLUSTER_ID", ""), "-c", file.toString()))) {
            if (format.await(START) != 0) {
                throw new IllegalStateException("The broker's folder cannot be formatted; see " + format.log());
            }
        }
        processes.add(
                JavaProcess.start("kafka", directory, List.of("-Xmx300m"), "kafka.Kafka", List.of(file.toString())));
        // The compose file starts the JobManager when the broker is healthy.
        Map<String, Object> client =
                Map.of("bootstrap.servers", "127.0.0.1:" + kafkaPort, "default.api.timeout.ms", (int) START.toMillis());
        try (Admin admin = Admin.create(client)) {
            admin.describeCluster().nodes().get(START.toSeconds(), TimeUnit.SECONDS);
        }
    }

    /** Starts the JobManager with the command of its service: the job runs in it, and its jar lies in usrlib. */
    void startApplication() throws Exception {
        Files.copy(Deployed.JOB_JAR, directory.resolve("flink/usrlib/freshet-job.jar"));
        List<String> arguments = new ArrayList<>(configDirectory());
        List<String> command = Deployed.command("jobmanager");
        if (!command.get(0).equals("standalone-job")) {
            throw new IllegalStateException(
                    "The command of the JobManager is not that of application mode: " + command);
        }
        command.subList(1, command.size()).forEach(word -> arguments.add(here(word)));
        processes.add(launch(
                "jobmanager",
                flags("-Xmx512m"),
                "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint",
                arguments));
    }

    /** Starts a JobManager without a job. */
    void startSession() throws IOException {
        List<String> arguments = new ArrayList<>(configDirectory());
        arguments.addAll(List.of("--executionMode", "cluster"));
        processes.add(launch(
                "jobmanager",
                flags("-Xmx512m"),
                "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
                arguments));
    }

    /** Starts one task manager with all slots, with the memory that Flink's scripts would compute from the configuration. */
    void startTaskManager(int slots) throws IOException {
        Configuration own = new Configuration(settings);
        own.setString("taskmanager.numberOfTaskSlots", String.valueOf(slots));
        TaskExecutorProcessSpec memory = TaskExecutorProcessUtils.processSpecFromConfig(own);
        List<String> flags =
                flags(ProcessMemoryUtils.generateJvmParametersStr(memory).split(" "));
        flags.addAll(words(settings.toMap().getOrDefault("env.java.opts.taskmanager", "")));
        List<String> arguments = new ArrayList<>(configDirectory());
        arguments.addAll(words(TaskExecutorProcessUtils.generateDynamicConfigsStr(memory)));
        arguments.addAll(List.of(
                "-D",
                "taskmanager.numberOfTaskSlots=" + slots,
                "-D",
                "metrics.reporter.prom.port=" + taskManagerMetrics));
        processes.add(
                launch("taskmanager", flags, "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", arguments));
    }

    /** Runs Flink's command line to its end and returns what it printed. */
    String flink(String... arguments) throws IOException, InterruptedException {
        String name = "cli-" + arguments[0] + "-" + processes.size();
        try (JavaProcess cli =
                launch(name, flags("-Xmx256m"), "org.apache.flink.client.cli.CliFrontend", List.of(arguments))) {
            int status = cli.await(START);
            String printed = Files.readString(cli.log());
            if (status != 0) {
                throw new IllegalStateException(
                        "flink " + String.join(" ", arguments) + " ends with " + status + ": " + printed);
            }
            return printed;
        }
    }

    private List<String> configDirectory() {
        return List.of("--configDir", directory.resolve("flink/conf").toString());
    }

    private static List<String> words(String text) {
        return Stream.of(text.strip().split("\\s+"))
                .filter(word -> !word.isEmpty())
                .toList();
    }

    private List<String> flags(String... more) {
        List<String> flags = new ArrayList<>(List.of(more));
        flags.addAll(words(settings.toMap().getOrDefault("env.java.opts.all", "")));
        flags.add("-Dlog4j2.configurationFile=" + directory.resolve("flink/conf/log4j2.properties"));
        return flags;
    }

    private JavaProcess launch(String name, List<String> flags, String main, List<String> arguments)
            throws IOException {
        return JavaProcess.start(
                name,
                directory,
                Map.of(
                        "FLINK_CONF_DIR", directory.resolve("flink/conf").toString(),
                        "FLINK_LIB_DIR", directory.resolve("flink/lib").toString(),
                        "FLINK_PLUGINS_DIR",
                                flink.resolve("plugins")
                                        .toAbsolutePath()
                                        .normalize()
                                        .toString()),
                flink.resolve("lib").toAbsolutePath().normalize() + "/*",
                flags,
                main,
                arguments);
    }

    /** Waits until all tasks of the only job run and returns its id. */
    String awaitJob() throws Exception {
        long deadline = System.nanoTime() + START.toNanos();
        while (System.nanoTime() - deadline < 0) {
            for (JsonNode job :
                    new ObjectMapper().readTree(get("/jobs/overview")).path("jobs")) {
                if (job.path("state").asText().equals("RUNNING")
                        && job.path("tasks").path("running").asInt()
                                == job.path("tasks").path("total").asInt()) {
                    return job.path("jid").asText();
                }
            }
            for (JavaProcess process : processes) {
                if (!process.isAlive()) {
                    throw new IllegalStateException("A process has ended: " + Files.readString(process.log()));
                }
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(200));
        }
        throw new IllegalStateException("No job runs after " + START + "; see the logs in " + directory);
    }

    /** What the REST interface answers, or an empty object. */
    String get(String path) throws InterruptedException {
        String answer = get(restPort, path);
        return answer.isEmpty() ? "{}" : answer;
    }

    /** What the Prometheus reporters of JobManager and task manager tell, by name with labels. */
    Map<String, Double> metrics() throws InterruptedException {
        Map<String, Double> samples = new TreeMap<>();
        for (int port : new int[] {jobManagerMetrics, taskManagerMetrics}) {
            get(port, "/metrics").lines().filter(line -> !line.startsWith("#")).forEach(line -> {
                int value = line.lastIndexOf(' ');
                samples.put(line.substring(0, value), Double.parseDouble(line.substring(value + 1)));
            });
        }
        return samples;
    }

    private String get(int port, String path) throws InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                .timeout(Duration.ofSeconds(5))
                .build();
        try {
            return http.send(request, HttpResponse.BodyHandlers.ofString()).body();
        } catch (IOException e) {
            return "";
        }
    }

    @Override
    public void close() throws InterruptedException {
        for (JavaProcess process : processes) {
            process.close();
        }
    }
}
