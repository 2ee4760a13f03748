package dev.freshet.job;

import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.common.JobID;
import org.apache.flink.util.ExceptionUtils;
import org.jspecify.annotations.Nullable;

/**
 * Notes in the output directory which job of which cluster writes there, for a job on a cluster outlives the command that submitted it
 * and two must never write. Confined to one thread.
 */
final class ClusterJobFile {

    private static final String FILE = ".job";

    private final Path file;

    ClusterJobFile(Path directory) {
        file = directory.resolve(FILE);
    }

    /**
     * Returns the job that an earlier command submitted and that has not ended, or null.
     *
     * @param address the cluster that is to be used now, or null for one in this process
     * @throws ConfigError when such a job runs elsewhere, or when nobody can tell
     */
    @Nullable
    JobID running(@Nullable String address) throws Exception {
        if (!Files.exists(file)) {
            return null;
        }
        String[] noted = Files.readString(file).strip().split(" ", 2);
        JobID job = JobID.fromHexString(noted[0]);
        String where = noted.length > 1 ? noted[1] : "";
        try (RemoteCluster cluster = RemoteCluster.open(where)) {
            if (cluster.status(job).isGloballyTerminalState()) {
                return null;
            }
        } catch (ExecutionException e) {
            if (ExceptionUtils.findThrowableWithMessage(e, "FlinkJobNotFoundException")
                    .isPresent()) {
                return null;
            }
            throw new ConfigError(
                    "Cannot start the batch: expected an answer of the cluster at " + where + " about job " + job
                            + ", which wrote to this directory, got none (" + file
                            + "). Start that cluster, or delete the"
                            + " file if the job is gone for good.",
                    e);
        }
        if (!where.equals(address)) {
            throw new ConfigError(
                    "Cannot start the batch: expected no other job that writes to this directory, got job " + job
                            + " at " + where + " (" + file + "). Use --cluster " + where
                            + " to wait for it, or cancel it.");
        }
        return job;
    }

    /** Notes a job; one in this process ends with it and needs no note. */
    void write(@Nullable String address, JobID job) throws IOException {
        if (address == null) {
            delete();
        } else {
            Files.writeString(file, job + " " + address + "\n");
        }
    }

    /** Forgets the job. */
    void delete() throws IOException {
        Files.deleteIfExists(file);
    }
}
