package dev.freshet.job;

import dev.freshet.request.ConfigError;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.client.deployment.StandaloneClusterId;
import org.apache.flink.client.program.rest.RestClusterClient;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobmaster.JobResult;

/** A Flink session cluster that is reached through its REST address. Thread-safe. */
final class RemoteCluster implements FlinkCluster {

    private static final int HIGHEST_PORT = 65_535;

    private final RestClusterClient<StandaloneClusterId> client;

    private RemoteCluster(RestClusterClient<StandaloneClusterId> client) {
        this.client = client;
    }

    /**
     * Opens a connection.
     *
     * @param address host:port of the cluster's REST endpoint
     * @throws ConfigError when the address is none
     */
    static RemoteCluster open(String address) throws Exception {
        int colon = address.lastIndexOf(':');
        int port = port(address.substring(colon + 1));
        if (colon <= 0 || port < 1 || port > HIGHEST_PORT) {
            throw new ConfigError("Cannot reach the cluster: expected HOST:PORT of its REST endpoint, got " + address
                    + ". Correct --cluster.");
        }
        Configuration settings = new Configuration();
        settings.setString("rest.address", address.substring(0, colon));
        settings.setString("rest.port", String.valueOf(port));
        return new RemoteCluster(new RestClusterClient<>(settings, StandaloneClusterId.getInstance()));
    }

    private static int port(String text) {
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException e) {
            return -1;
        }
    }

    @Override
    public JobID submit(JobGraph graph) throws InterruptedException, ExecutionException {
        return client.submitJob(graph).get();
    }

    @Override
    public JobStatus status(JobID job) throws InterruptedException, ExecutionException {
        return client.getJobStatus(job).get();
    }

    @Override
    public JobResult await(JobID job) throws InterruptedException, ExecutionException {
        return client.requestJobResult(job).get();
    }

    @Override
    public void close() {
        client.close();
    }
}
