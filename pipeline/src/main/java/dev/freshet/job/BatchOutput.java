package dev.freshet.job;

import dev.freshet.request.ConfigError;
import dev.freshet.schema.Completion;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The answers of a batch in a directory: {@value #RESULTS} and, for requests that failed, {@value #ERRORS}, in order of completion.
 * It knows which input lines have an answer already, those of earlier runs included. Confined to one thread.
 */
final class BatchOutput implements AutoCloseable {

    static final String RESULTS = "output.jsonl";
    static final String ERRORS = "errors.jsonl";

    private static final String LOCK = ".lock";
    /** Longest answer in bytes. */
    static final int LONGEST = 32 << 20;

    private final FileChannel lockFile;
    private final LineLog results;
    private final LineLog errors;
    private final BitSet answered = new BitSet();
    private final RecordEncoder<Completion> encoder;
    private final RecordDecoder<Completion> decoder;

    /** Opens a directory that no other process writes to, and repairs what a killed one left unfinished. */
    BatchOutput(Path directory) throws IOException {
        WireFormat format = WireFormat.of("json", WireOptions.defaults().withMaxBytes(LONGEST));
        encoder = format.encoder(RecordType.COMPLETION, RESULTS);
        decoder = format.decoder(RecordType.COMPLETION);
        lockFile = lock(directory);
        refuseForeign(directory);
        results = new LineLog(directory.resolve(RESULTS), LONGEST, this::remember);
        errors = new LineLog(directory.resolve(ERRORS), LONGEST, this::remember);
    }

    /** Claims a directory for this process until the channel is closed. */
    static FileChannel lock(Path directory) throws IOException {
        Files.createDirectories(directory);
        FileChannel channel =
                FileChannel.open(directory.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock lock = null;
        try {
            lock = channel.tryLock();
        } catch (OverlappingFileLockException e) {
            // Another run of this process, said below.
        }
        if (lock == null) {
            channel.close();
            throw new ConfigError(
                    "Cannot start the batch: expected an output directory of its own, got one that another"
                            + " run writes to (" + directory + "). Wait for it, or use another --output.");
        }
        return channel;
    }

    /** A manifest is written before the first answer: files without one are somebody else's, and are not to be repaired. */
    private static void refuseForeign(Path directory) throws IOException {
        for (String name : List.of(RESULTS, ERRORS)) {
            Path file = directory.resolve(name);
            if (!Files.exists(directory.resolve(BatchManifest.FILE)) && Files.exists(file) && Files.size(file) > 0) {
                throw new ConfigError(
                        "Cannot start the batch: expected a new directory or one of a batch, got one with " + name
                                + " but no " + BatchManifest.FILE + " (" + directory + "). Use another --output.");
            }
        }
    }

    /** Notes the input line of an answer; false for a line that is none, or answers one again. */
    private boolean remember(byte[] line) {
        if (!(decoder.decode(line) instanceof Decoded.Value<Completion> value)) {
            return false;
        }
        @Nullable Long number = value.value().getSourceOffset();
        if (number == null || number < 0 || number > Integer.MAX_VALUE || answered.get((int) (long) number)) {
            return false;
        }
        answered.set((int) (long) number);
        return true;
    }

    /** Whether an input line has its answer. */
    boolean has(long line) {
        return answered.get((int) line);
    }

    /** Number of input lines with an answer. */
    int answers() {
        return answered.cardinality();
    }

    /** Appends an answer. */
    void add(Completion completion) throws IOException {
        int line = (int) (long) completion.getSourceOffset();
        if (answered.get(line)) {
            throw new IllegalStateException("Cannot write an answer: line " + line + " has one already");
        }
        (completion.getError() == null ? results : errors).append(encoder.encode(completion));
        answered.set(line);
    }

    /** Makes all answers the disk's. */
    void sync() throws IOException {
        results.sync();
        errors.sync();
    }

    @Override
    public void close() throws IOException {
        try (lockFile;
                errors) {
            results.close();
        }
    }
}
