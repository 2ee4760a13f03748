package dev.freshet.job;

import java.util.concurrent.ExecutionException;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobmaster.JobResult;

/** Where a job runs: in this process or elsewhere. Thread-safe. */
interface FlinkCluster extends AutoCloseable {

    /** Submits a job and returns its id when the cluster has taken it. */
    JobID submit(JobGraph graph) throws InterruptedException, ExecutionException;

    /** Where a job stands. */
    JobStatus status(JobID job) throws InterruptedException, ExecutionException;

    /** Waits for the end of a job. */
    JobResult await(JobID job) throws InterruptedException, ExecutionException;
}
