package dev.freshet.job;

import dev.freshet.request.ConfigError;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.regex.Pattern;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;
import org.jspecify.annotations.Nullable;

/**
 * Finds where a job can go on: the checkpoints that Flink left under a directory ({@code <job id>/chk-N}) and the savepoints beside
 * them. A checkpoint without its {@code _metadata} file never became complete and does not count.
 */
final class RetainedCheckpoints {

    private static final String METADATA = "_metadata";
    private static final Pattern JOB = Pattern.compile("[0-9a-f]{32}");

    private RetainedCheckpoints() {}

    /**
     * Resolves the option {@code checkpoint.resume}.
     *
     * @return the path to start from, or null for a fresh start
     * @throws ConfigError when the directory cannot be read, or the named checkpoint does not exist
     */
    static @Nullable String resume(JobOptions options) {
        String wanted = options.checkpoints().resume();
        if (wanted.equals("none")) {
            return null;
        }
        String directory = options.checkpoints().directory();
        if (wanted.equals("latest")) {
            return directory == null ? null : latest(FlinkSettings.checkpoints(options, directory));
        }
        String path = FlinkSettings.uri(wanted);
        try {
            Path metadata = new Path(path, METADATA);
            if (metadata.getFileSystem().exists(metadata)) {
                return path;
            }
        } catch (IOException e) {
            throw unreadable("checkpoint.resume", wanted, e);
        }
        throw new ConfigError("Cannot resume: expected a complete checkpoint or savepoint, got no " + METADATA + " in "
                + wanted + ". Correct checkpoint.resume, or set it to latest or none.");
    }

    /** Returns the newest complete checkpoint or savepoint under a directory, or null when there is none. */
    static @Nullable String latest(String directory) {
        Path root = new Path(directory);
        Newest newest = new Newest();
        try {
            FileSystem files = root.getFileSystem();
            for (FileStatus child : children(files, root)) {
                if (!child.isDir()) {
                    continue;
                }
                if (JOB.matcher(child.getPath().getName()).matches()) {
                    for (FileStatus checkpoint : children(files, child.getPath())) {
                        newest.offer(files, checkpoint);
                    }
                } else {
                    newest.offer(files, child);
                }
            }
        } catch (IOException e) {
            throw unreadable("checkpoint.directory", directory, e);
        }
        return newest.path;
    }

    private static FileStatus[] children(FileSystem files, Path directory) throws IOException {
        try {
            FileStatus[] found = files.listStatus(directory);
            return found == null ? new FileStatus[0] : found;
        } catch (FileNotFoundException e) {
            return new FileStatus[0];
        }
    }

    private static ConfigError unreadable(String key, String value, IOException e) {
        return new ConfigError(
                "Cannot look for checkpoints: expected a readable directory for " + key + ", got "
                        + e.getClass().getSimpleName() + " (" + value + "). Correct the path or its permissions.",
                e);
    }

    /** The newest complete one so far. Files written within the same instant are told apart by their checkpoint number. */
    private static final class Newest {
        private @Nullable String path;
        private long time = Long.MIN_VALUE;
        private long number = -1;

        void offer(FileSystem files, FileStatus candidate) throws IOException {
            if (!candidate.isDir()) {
                return;
            }
            Path metadata = new Path(candidate.getPath(), METADATA);
            if (!files.exists(metadata)) {
                return;
            }
            long written = files.getFileStatus(metadata).getModificationTime();
            long counted = number(candidate.getPath().getName());
            if (written > time || (written == time && counted > number)) {
                path = candidate.getPath().toString();
                time = written;
                number = counted;
            }
        }

        private static long number(String name) {
            try {
                return name.startsWith("chk-") ? Long.parseLong(name.substring(4)) : -1;
            } catch (NumberFormatException e) {
                return -1;
            }
        }
    }
}
