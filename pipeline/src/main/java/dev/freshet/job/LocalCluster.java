package dev.freshet.job;

import java.net.URI;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.execution.ExecutionState;
import org.apache.flink.runtime.executiongraph.AccessExecutionVertex;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;

/** A Flink cluster in this process, with the web dashboard. Thread-safe. */
public final class LocalCluster implements FlinkCluster {

    private final MiniCluster cluster;
    private final URI dashboard;

    private LocalCluster(MiniCluster cluster, URI dashboard) {
        this.cluster = cluster;
        this.dashboard = dashboard;
    }

    /**
     * Starts a cluster and returns when its dashboard answers.
     *
     * @param settings see {@link FlinkSettings#forLocalCluster}
     * @param taskSlots subtasks of one job that may run at the same time
     */
    public static LocalCluster start(Configuration settings, int taskSlots) throws Exception {
        MiniCluster cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
                .setConfiguration(settings)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(taskSlots)
                .build());
        try {
            cluster.start();
            return new LocalCluster(cluster, cluster.getRestAddress().get(1, TimeUnit.MINUTES));
        } catch (Exception e) {
            cluster.close();
            throw e;
        }
    }

    /** Address of the web dashboard. */
    public URI dashboard() {
        return dashboard;
    }

    /** Submits a job and returns its id when the cluster has taken it. */
    @Override
    public JobID submit(JobGraph graph) throws InterruptedException, ExecutionException {
        return cluster.submitJob(graph).get().getJobID();
    }

    /** Where a job stands. */
    @Override
    public JobStatus status(JobID job) throws InterruptedException, ExecutionException {
        return cluster.getJobStatus(job).get();
    }

    /** Whether every task of a job works or has ended, and none is placed, restored or opened any more. */
    public boolean allTasksRun(JobID job) throws InterruptedException, ExecutionException {
        for (AccessExecutionVertex task : cluster.getExecutionGraph(job).get().getAllExecutionVertices()) {
            ExecutionState state = task.getExecutionState();
            if (state != ExecutionState.RUNNING && state != ExecutionState.FINISHED) {
                return false;
            }
        }
        return true;
    }

    /** Waits for the end of a job. */
    @Override
    public JobResult await(JobID job) throws InterruptedException, ExecutionException {
        return cluster.requestJobResult(job).get();
    }

    /**
     * Stops a job after a savepoint, so that what is in flight goes on with the next start.
     *
     * @return path of the savepoint
     */
    public String stopWithSavepoint(JobID job, String directory)
            throws InterruptedException, ExecutionException, TimeoutException {
        return cluster.stopWithSavepoint(job, directory, false, SavepointFormatType.CANONICAL)
                .get(1, TimeUnit.MINUTES);
    }

    /** Ends a job as if its input had ended: it finishes what is in flight, commits and goes. */
    public void drain(JobID job, String directory) throws InterruptedException, ExecutionException, TimeoutException {
        cluster.stopWithSavepoint(job, directory, true, SavepointFormatType.CANONICAL)
                .get(1, TimeUnit.MINUTES);
        cluster.requestJobResult(job).get(1, TimeUnit.MINUTES);
    }

    /** Cancels a job and waits until it has ended. */
    public void cancel(JobID job) throws InterruptedException, ExecutionException, TimeoutException {
        cluster.cancelJob(job).get(30, TimeUnit.SECONDS);
        cluster.requestJobResult(job).get(1, TimeUnit.MINUTES);
    }

    /** Triggers a checkpoint and waits until it is complete; for tests. */
    public void checkpoint(JobID job) throws InterruptedException, ExecutionException {
        cluster.triggerCheckpoint(job).get();
    }

    @Override
    public void close() throws Exception {
        cluster.close();
    }
}
