package dev.freshet.job;

import dev.freshet.operator.ModelLoader;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.SerializedThrowable;
import org.jspecify.annotations.Nullable;

/** The streaming job on a Flink cluster inside this process, with its dashboard. Thread-safe. */
public final class LocalJob implements AutoCloseable {

    private static final int HIGHEST_PORT = 65_535;
    private static final long LOOK_MILLIS = 100;
    private static final int LOOKS = 300;

    private final LocalCluster cluster;
    private final JobID job;
    private final @Nullable String resumedFrom;
    private final String savepoints;

    /** Where the job stands. */
    public enum Phase {
        /** Its tasks are being placed, or restore their state and load their model. */
        STARTING,
        /** Its tasks work. */
        RUNNING,
        /** A task failed, and the job goes back to its last checkpoint. */
        RESTARTING,
        /** It has come to the end of its input. */
        FINISHED,
        /** It was stopped. */
        STOPPED,
        /** It gave up; see {@link #failure}. */
        FAILED
    }

    private LocalJob(LocalCluster cluster, JobID job, @Nullable String resumedFrom, String savepoints) {
        this.cluster = cluster;
        this.job = job;
        this.resumedFrom = resumedFrom;
        this.savepoints = savepoints;
    }

    /**
     * Starts a cluster and the job on it, from the checkpoint that the options name.
     *
     * @param port port of the dashboard, 0 for a free one
     * @param work directory for Flink's temporary files
     * @throws ConfigError when the port is taken or the checkpoint cannot be found
     */
    public static LocalJob start(JobOptions options, ModelLoader model, int port, Path work) throws Exception {
        requireFree(port);
        Configuration settings = FlinkSettings.forStart(options);
        StreamExecutionEnvironment env = new StreamExecutionEnvironment(settings);
        GenerateJob.define(env, options, model);
        LocalCluster cluster =
                LocalCluster.start(FlinkSettings.forLocalCluster(settings, port, work), options.parallelism());
        try {
            JobID job = cluster.submit(env.getStreamGraph().getJobGraph());
            String directory = options.checkpoints().directory();
            String savepoints = directory == null
                    ? FlinkSettings.uri(work.resolve("savepoints").toString())
                    : FlinkSettings.checkpoints(options, directory);
            return new LocalJob(cluster, job, settings.toMap().get(FlinkSettings.RESUME), savepoints);
        } catch (Exception e) {
            cluster.close();
            throw e;
        }
    }

    /** Whether nobody listens on a port of this machine. */
    public static boolean isFree(int port) {
        try (ServerSocket probe = new ServerSocket()) {
            probe.setReuseAddress(true);
            probe.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /**
     * Checks a port for the dashboard.
     *
     * @param port a port, 0 for any free one
     * @throws ConfigError when it cannot be used
     */
    public static void requireFree(int port) {
        if (port < 0 || port > HIGHEST_PORT) {
            throw new ConfigError("Cannot start the dashboard: expected a port from 0 to " + HIGHEST_PORT + ", got "
                    + port + ". Correct --port.");
        }
        if (port > 0 && !isFree(port)) {
            throw new ConfigError("Cannot start the dashboard: expected a free port, got one that is in use (" + port
                    + "). Choose another with --port, or --port 0 for any free one.");
        }
    }

    /** Address of the web dashboard. */
    public URI dashboard() {
        return cluster.dashboard();
    }

    /** The checkpoint that the job went on from, or null after a fresh start. */
    public @Nullable String resumedFrom() {
        return resumedFrom;
    }

    /** Where the job stands now. */
    public Phase phase() throws InterruptedException, ExecutionException {
        return switch (cluster.status(job)) {
            case INITIALIZING, CREATED, RECONCILING -> Phase.STARTING;
            case RUNNING -> cluster.allTasksRun(job) ? Phase.RUNNING : Phase.STARTING;
            case FAILING, RESTARTING -> Phase.RESTARTING;
            case FINISHED -> Phase.FINISHED;
            case CANCELLING, CANCELED, SUSPENDED -> Phase.STOPPED;
            case FAILED -> Phase.FAILED;
        };
    }

    /** Why a failed job gave up; waits for the end of the job. */
    public Throwable failure() throws InterruptedException, ExecutionException {
        JobResult result = cluster.await(job);
        Optional<SerializedThrowable> cause = result.getSerializedThrowable();
        return cause.isPresent()
                ? cause.get().deserializeError(LocalJob.class.getClassLoader())
                : new IllegalStateException("The job ended without success and without a reason.");
    }

    /** Lets the job finish what it has taken, commit it and end. */
    public void drain() throws InterruptedException, ExecutionException, TimeoutException {
        cluster.drain(job, savepoints);
    }

    /**
     * Stops the job with a savepoint beside its checkpoints; what is in flight goes on with the next start. A job that has just
     * begun is let begin first, for Flink makes no savepoint of tasks that do not work yet.
     *
     * @return path of the savepoint
     */
    public String stop() throws InterruptedException, ExecutionException, TimeoutException {
        for (int i = 0; i < LOOKS && (phase() == Phase.STARTING || phase() == Phase.RESTARTING); i++) {
            Thread.sleep(LOOK_MILLIS);
        }
        return cluster.stopWithSavepoint(job, savepoints);
    }

    /** Ends the cluster, and the job where it still runs. Checkpoints stay. */
    @Override
    public void close() throws Exception {
        cluster.close();
    }
}
