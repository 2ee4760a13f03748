package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RetainedCheckpointsTest {

    private static final String FIRST = "0123456789abcdef0123456789abcdef";
    private static final String SECOND = "fedcba9876543210fedcba9876543210";

    @TempDir
    private Path directory;

    private JobOptions options(String resume) {
        return JobOptions.of(Map.of(
                "kafka.bootstrap.servers", "localhost:1",
                "model.directory", "none",
                "job.name", "my job",
                "checkpoint.directory", directory.toString(),
                "checkpoint.resume", resume));
    }

    /** Makes a checkpoint of this job that was completed so many seconds after the epoch. */
    private Path checkpoint(String path, long second) throws IOException {
        Path folder = Files.createDirectories(directory.resolve("my_job").resolve(path));
        Path metadata = Files.createFile(folder.resolve("_metadata"));
        Files.setLastModifiedTime(metadata, FileTime.fromMillis(second * 1000));
        return folder;
    }

    private static String path(String uri) {
        return uri.replaceFirst("^file:/*", "/");
    }

    @Test
    void latestIsTheNewestCompleteOneOfThisJob() throws IOException {
        assertThat(RetainedCheckpoints.resume(options("latest"))).isNull();
        checkpoint(FIRST + "/chk-9", 100);
        Path newest = checkpoint(SECOND + "/chk-2", 200);
        Files.createDirectories(directory.resolve("my_job/" + SECOND + "/chk-3"));
        Files.createDirectories(directory.resolve("my_job/" + SECOND + "/shared"));
        Files.createDirectories(directory.resolve("other/" + SECOND + "/chk-7"));
        Files.createFile(directory.resolve("other/" + SECOND + "/chk-7/_metadata"));
        assertThat(path(String.valueOf(RetainedCheckpoints.resume(options("latest")))))
                .isEqualTo(newest.toString());
    }

    @Test
    void aSavepointCountsLikeACheckpoint() throws IOException {
        checkpoint(FIRST + "/chk-9", 100);
        Path savepoint = checkpoint("savepoint-012345-abc", 300);
        assertThat(path(String.valueOf(RetainedCheckpoints.resume(options("latest")))))
                .isEqualTo(savepoint.toString());
    }

    @Test
    void ofThoseWrittenTogetherTheHigherNumberWins() throws IOException {
        checkpoint(FIRST + "/chk-9", 100);
        Path newest = checkpoint(FIRST + "/chk-10", 100);
        assertThat(path(String.valueOf(RetainedCheckpoints.resume(options("latest")))))
                .isEqualTo(newest.toString());
    }

    @Test
    void noneAndAPathAreTaken() throws IOException {
        Path older = checkpoint(FIRST + "/chk-1", 100);
        checkpoint(FIRST + "/chk-2", 200);
        assertThat(RetainedCheckpoints.resume(options("none"))).isNull();
        assertThat(path(String.valueOf(RetainedCheckpoints.resume(options(older.toString())))))
                .startsWith(older.toString());
        assertThatThrownBy(() -> RetainedCheckpoints.resume(
                        options(directory.resolve("nowhere").toString())))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("checkpoint.resume");
    }

    @Test
    void aPathThatFlinkIsGivenGoesBeforeTheFolder() throws IOException {
        Path own = checkpoint(FIRST + "/chk-1", 100);
        Configuration told = new Configuration();
        told.set(StateRecoveryOptions.SAVEPOINT_PATH, "file:/elsewhere");
        JobOptions options = options("latest");
        assertThat(path(FlinkSettings.forStart(options).get(StateRecoveryOptions.SAVEPOINT_PATH)))
                .isEqualTo(own.toString());
        assertThat(FlinkSettings.forStart(options, told).getOptional(StateRecoveryOptions.SAVEPOINT_PATH))
                .isEmpty();
    }
}
