package dev.freshet.operator;

import dev.freshet.engine.StepObserver;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Names the sequences of the step at hand in a mapped file, which outlives a process that dies in it. A checkpoint cannot do that: the
 * restore takes back whatever it counted. Whoever starts next reads the boxes of dead processes and hands their contents to
 * {@link Suspects}.
 *
 * <p>File: magic, 1 while a step runs, number of entries, zero; then for each entry the hash of the sequence's id, its position and
 * its rows; big-endian. Confined to the task thread.
 */
final class BlackBox implements StepObserver, AutoCloseable {

    private static final int MAGIC = 0x46425831;
    private static final int HEADER = 16;
    private static final int ENTRY = 16;

    private final Path file;
    private final MappedByteBuffer box;
    private final Suspects suspects;
    private final Map<String, Long> hashes = new HashMap<>();

    private BlackBox(Path file, MappedByteBuffer box, Suspects suspects) {
        this.file = file;
        this.box = box;
        this.suspects = suspects;
    }

    /**
     * Reads the boxes that dead processes of a job left, and opens one for this process.
     *
     * @param directory on a disk of this machine, kept when the process dies
     * @throws ConfigError when the directory cannot be used
     */
    static BlackBox open(Path directory, String job, int subtask, int slots) {
        String prefix = job.replaceAll("[^A-Za-z0-9_-]", "_") + ".";
        try {
            Files.createDirectories(directory);
            Suspects suspects = new Suspects(directory, prefix);
            try (DirectoryStream<Path> boxes = Files.newDirectoryStream(directory, prefix + "*.box")) {
                for (Path found : boxes) {
                    readIfDead(found, suspects);
                }
            }
            suspects.load();
            ProcessHandle self = ProcessHandle.current();
            Path file = directory.resolve(prefix + subtask + "." + self.pid() + "-" + started(self) + ".box");
            try (FileChannel channel = FileChannel.open(
                    file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                MappedByteBuffer box = channel.map(FileChannel.MapMode.READ_WRITE, 0, HEADER + (long) ENTRY * slots);
                box.putInt(4, 0).putInt(0, MAGIC);
                return new BlackBox(file, box, suspects);
            }
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot keep a black box: expected a directory to write to, got "
                            + e.getClass().getSimpleName() + " (" + directory
                            + "). Correct engine.black-box, or leave it out.",
                    e);
        }
    }

    private static long started(ProcessHandle process) {
        return process.info().startInstant().map(Instant::toEpochMilli).orElse(0L);
    }

    private static void readIfDead(Path found, Suspects suspects) throws IOException {
        String[] parts = String.valueOf(found.getFileName()).split("\\.");
        String[] process = parts[parts.length - 2].split("-");
        Optional<ProcessHandle> alive = ProcessHandle.of(Long.parseLong(process[0]));
        if (alive.isPresent() && started(alive.get()) == Long.parseLong(process[1])) {
            return;
        }
        Path claimed = found.resolveSibling(found.getFileName() + ".claimed");
        try {
            // Subtasks start together; the one whose move succeeds reads the box.
            Files.move(found, claimed, StandardCopyOption.ATOMIC_MOVE);
        } catch (NoSuchFileException e) {
            return;
        }
        accuse(ByteBuffer.wrap(Files.readAllBytes(claimed)), suspects);
        Files.delete(claimed);
    }

    private static void accuse(ByteBuffer box, Suspects suspects) throws IOException {
        if (box.capacity() < HEADER || box.getInt(0) != MAGIC || box.getInt(4) != 1) {
            return;
        }
        int count = Math.min(box.getInt(8), (box.capacity() - HEADER) / ENTRY);
        for (int i = 0; i < count; i++) {
            int at = HEADER + ENTRY * i;
            suspects.accuse(box.getLong(at), box.getInt(at + 8), box.getInt(at + 8) + box.getInt(at + 12));
        }
    }

    /** What is known against a sequence, or null. */
    Suspects.@Nullable Suspect suspect(String sequence) {
        return suspects.get(sequence);
    }

    /** The sequence has ended. */
    void ended(String sequence) {
        hashes.remove(sequence);
        suspects.acquit(sequence);
    }

    @Override
    public void begin(List<Running> sequences) {
        int at = HEADER;
        for (Running one : sequences) {
            box.putLong(at, hashes.computeIfAbsent(one.id(), Suspects::hash))
                    .putInt(at + 8, one.position())
                    .putInt(at + 12, one.rows());
            at += ENTRY;
        }
        box.putInt(8, sequences.size()).putInt(4, 1);
    }

    @Override
    public void end() {
        box.putInt(4, 0);
    }

    /** A step that an exception ended is evidence too, unless the task was only told to stop. */
    @Override
    public void close() throws IOException {
        if (!Thread.currentThread().isInterrupted()) {
            accuse(box, suspects);
        }
        Files.deleteIfExists(file);
    }
}
