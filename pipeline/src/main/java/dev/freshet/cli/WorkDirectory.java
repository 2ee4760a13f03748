package dev.freshet.cli;

import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** A temporary directory of a command that starts a cluster: its log, broker records and checkpoints. */
final class WorkDirectory {

    private static final String PROPERTY = "freshet.work";
    private static final String LOG = "freshet.log";
    private static final String LEVEL = "freshet.log.level";

    private WorkDirectory() {}

    /** Creates the directory and points the log there; must run before anything is logged. */
    static void create() {
        try {
            Path directory = Files.createTempDirectory("freshet-");
            System.setProperty(PROPERTY, directory.toString());
            // Whoever wants the log elsewhere or more of it sets these before.
            if (System.getProperty(LOG) == null) {
                System.setProperty(LOG, directory.resolve("freshet.log").toString());
            }
            if (System.getProperty(LEVEL) == null) {
                System.setProperty(LEVEL, "INFO");
            }
            System.setProperty("freshet.log.console", "OFF");
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot start: expected a writable temporary directory, got " + e.getMessage() + ". Set TMPDIR.",
                    e);
        }
    }

    /** The directory, made if nobody did. */
    static Path get() {
        if (System.getProperty(PROPERTY) == null) {
            create();
        }
        return Path.of(System.getProperty(PROPERTY));
    }

    /** The log file, in it unless somebody chose another. */
    static Path log() {
        return Path.of(System.getProperty(LOG, get().resolve("freshet.log").toString()));
    }

    /** Deletes broker records and checkpoints; the log stays, for its path was told. */
    static void deleteAllButTheLog() {
        try (Stream<Path> entries = Files.list(get())) {
            entries.filter(entry -> !entry.equals(log())).forEach(WorkDirectory::delete);
        } catch (IOException e) {
            org.slf4j.LoggerFactory.getLogger(WorkDirectory.class).warn("Cannot clear {}", get(), e);
        }
    }

    /** Deletes a directory with all it holds, as far as possible. */
    static void delete(Path directory) {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            org.slf4j.LoggerFactory.getLogger(WorkDirectory.class).warn("Cannot delete {}", directory, e);
        }
    }
}
