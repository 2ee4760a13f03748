package dev.freshet.job;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.configuration.StateRecoveryOptions;

/** Flink's configuration as Freshet wants it: what its promises need, and nothing open to the network. */
public final class FlinkSettings {

    /** Flink's own key for the checkpoint or savepoint that a job starts from. */
    static final String RESUME = "execution.state-recovery.path";

    private FlinkSettings() {}

    /** Settings that travel with a job to whatever cluster runs it; the user's own come last and win. */
    public static Configuration forJob(JobOptions options) {
        JobOptions.Checkpoints checkpoints = options.checkpoints();
        Map<String, String> s = new LinkedHashMap<>();
        s.put("pipeline.name", options.name());
        s.put("pipeline.generic-types", "false");
        s.put("pipeline.object-reuse", "true");
        s.put("parallelism.default", String.valueOf(options.parallelism()));
        s.put("execution.checkpointing.mode", options.delivery().exactlyOnce() ? "EXACTLY_ONCE" : "AT_LEAST_ONCE");
        s.put("execution.checkpointing.interval", millis(checkpoints.interval()));
        s.put("execution.checkpointing.timeout", millis(checkpoints.timeout()));
        s.put("execution.checkpointing.max-concurrent-checkpoints", "1");
        // The subtasks of a bounded job end together, but not at the same instant, and a checkpoint between two ends
        // cannot
        // be completed: the list of recent ids is a union. That is no failure.
        s.put(
                "execution.checkpointing.tolerable-failed-checkpoints",
                options.input().bounded() ? String.valueOf(Integer.MAX_VALUE) : "3");
        s.put("execution.checkpointing.num-retained", "3");
        s.put("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
        boolean disk = checkpoints.backend() == JobOptions.Backend.ROCKSDB;
        s.put("state.backend.type", disk ? "rocksdb" : "hashmap");
        if (disk) {
            s.put("execution.checkpointing.incremental", "true");
            // A cluster of its own gives little memory to Flink; of a larger one this is no setting.
            s.put("taskmanager.memory.managed.size", "128 mb");
        }
        if (options.spreads() && options.delivery().exactlyOnce()) {
            // Prompts wait in network buffers then; a barrier must not wait behind minutes of generation.
            s.put("execution.checkpointing.unaligned.enabled", "true");
        }
        String directory = checkpoints.directory();
        if (directory != null) {
            s.put("execution.checkpointing.storage", "filesystem");
            s.put("execution.checkpointing.dir", checkpoints(options, directory));
        }
        s.put("restart-strategy.type", "exponential-delay");
        s.put("restart-strategy.exponential-delay.initial-backoff", "1 s");
        s.put("restart-strategy.exponential-delay.max-backoff", "30 s");
        s.put("task.cancellation.timeout", "30000");
        s.putAll(options.flink());
        return Configuration.fromMap(s);
    }

    /**
     * Settings of a job that goes on from the checkpoint which {@code checkpoint.resume} names, where there is one.
     *
     * @throws dev.freshet.request.ConfigError when that checkpoint cannot be found
     */
    public static Configuration forStart(JobOptions options) {
        return forStart(options, new Configuration());
    }

    /** The same for a cluster that may have been told itself where to start from, which then counts. */
    static Configuration forStart(JobOptions options, ReadableConfig cluster) {
        Configuration settings = forJob(options);
        boolean told = settings.containsKey(RESUME)
                || cluster.getOptional(StateRecoveryOptions.SAVEPOINT_PATH).isPresent();
        String resume = told ? null : RetainedCheckpoints.resume(options);
        if (resume != null) {
            settings.setString(RESUME, resume);
        }
        return settings;
    }

    /** Where a job keeps its checkpoints: jobs of other names may share the directory and must not find each other's. */
    static String checkpoints(JobOptions options, String directory) {
        String base = uri(directory);
        return base + (base.endsWith("/") ? "" : "/") + options.name().replaceAll("[^A-Za-z0-9._-]", "_");
    }

    /** Settings of a cluster inside this process: loopback only, small memory, nothing to upload to. */
    public static Configuration forLocalCluster(Configuration job, int dashboardPort, Path workDirectory) {
        Map<String, String> s =
                new LinkedHashMap<>(forCluster(dashboardPort, workDirectory).toMap());
        s.putAll(job.toMap());
        return Configuration.fromMap(s);
    }

    /** Settings of a cluster on this machine alone: nobody else can reach it, and nobody can submit or change a job in the browser. */
    static Configuration forCluster(int dashboardPort, Path workDirectory) {
        Map<String, String> s = new LinkedHashMap<>();
        s.put("rest.address", "localhost");
        s.put("rest.bind-address", "localhost");
        s.put("rest.port", String.valueOf(dashboardPort));
        s.put("rest.bind-port", String.valueOf(dashboardPort));
        s.put("jobmanager.bind-host", "localhost");
        s.put("taskmanager.bind-host", "localhost");
        s.put("web.submit.enable", "false");
        s.put("web.cancel.enable", "false");
        s.put("web.rescale.enable", "false");
        s.put("rest.profiling.enabled", "false");
        s.put("web.access-control-allow-origin", "http://localhost:" + dashboardPort);
        s.put("web.log.path", workDirectory.resolve("freshet.log").toString());
        s.put("io.tmp.dirs", workDirectory.toString());
        s.put("heartbeat.interval", "2 s");
        s.put("heartbeat.timeout", "10 s");
        s.put("taskmanager.jvm-exit-on-oom", "true");
        // A subtask that went on while another starts again would hold a transaction open that the other must see
        // decided.
        s.put("jobmanager.execution.failover-strategy", "full");
        s.put("taskmanager.memory.managed.size", "16 mb");
        s.put("taskmanager.memory.network.min", "16 mb");
        s.put("taskmanager.memory.network.max", "16 mb");
        s.put("metrics.fetcher.update-interval", "1000");
        return Configuration.fromMap(s);
    }

    /** Returns a URI for a path or a URI. */
    static String uri(String directory) {
        return directory.contains("://") || directory.startsWith("file:")
                ? URI.create(directory).toString()
                : Path.of(directory).toAbsolutePath().normalize().toUri().toString();
    }

    private static String millis(Duration duration) {
        return duration.toMillis() + " ms";
    }
}
