package dev.freshet.job;

import dev.freshet.schema.Completion;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * The files that a batch on a cluster has written: {@value #RESULTS} and {@value #ERRORS} hold parts, each committed whole with a
 * checkpoint; names that begin with a dot belong to parts that are not. Confined to one thread.
 */
final class BatchParts {

    static final String RESULTS = "output";
    static final String ERRORS = "errors";

    private final Path directory;
    private final Map<Path, Long> lines = new HashMap<>();

    BatchParts(Path directory) {
        this.directory = directory;
    }

    /** What the committed parts say. */
    static final class Found {
        private final BitSet answered = new BitSet();
        private long completed;
        private long failed;
        private long tokens;
        private long promptTokens;

        BitSet answered() {
            return answered;
        }

        long completed() {
            return completed;
        }

        long failed() {
            return failed;
        }

        long tokens() {
            return tokens;
        }

        long promptTokens() {
            return promptTokens;
        }
    }

    private static List<Path> files(Path folder, boolean committed) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(file ->
                            committed != String.valueOf(file.getFileName()).startsWith("."))
                    .sorted()
                    .toList();
        }
    }

    private List<Path> committed() throws IOException {
        return Stream.concat(
                        files(directory.resolve(RESULTS), true).stream(),
                        files(directory.resolve(ERRORS), true).stream())
                .toList();
    }

    /**
     * Reads every committed part.
     *
     * @throws IllegalStateException when a line is no answer, or an input line has two
     */
    Found read() throws IOException {
        RecordDecoder<Completion> decoder = WireFormat.of(
                        "json", WireOptions.defaults().withMaxBytes(BatchOutput.LONGEST))
                .decoder(RecordType.COMPLETION);
        Found found = new Found();
        for (Path file : committed()) {
            try (BatchInput in = new BatchInput(file, BatchOutput.LONGEST)) {
                for (BatchInput.Line line = in.next(); line != null; line = in.next()) {
                    if (!(decoder.decode(line.bytes()) instanceof Decoded.Value<Completion> value)
                            || !note(found, value.value())) {
                        throw new IllegalStateException(
                                "Cannot go on with the batch: expected one answer for each line of"
                                        + " the input, got another line (" + file + ":" + (line.number() + 1)
                                        + "). Use another --output.");
                    }
                }
            }
        }
        return found;
    }

    private static boolean note(Found found, Completion answer) {
        Long number = answer.getSourceOffset();
        if (number == null || number < 0 || number > Integer.MAX_VALUE || found.answered.get((int) (long) number)) {
            return false;
        }
        found.answered.set((int) (long) number);
        if (answer.getError() == null) {
            found.completed++;
        } else {
            found.failed++;
        }
        if (answer.getUsage() != null) {
            found.tokens += answer.getUsage().getCompletionTokens();
            found.promptTokens += answer.getUsage().getPromptTokens();
        }
        return true;
    }

    /** Answers committed so far; a part is counted once, since it never changes. */
    long count() throws IOException {
        for (Path file : committed()) {
            if (!lines.containsKey(file)) {
                try (BatchInput in = new BatchInput(file, BatchOutput.LONGEST)) {
                    long count = 0;
                    while (in.next() != null) {
                        count++;
                    }
                    lines.put(file, count);
                }
            }
        }
        return lines.values().stream().mapToLong(Long::longValue).sum();
    }

    /** Deletes what no checkpoint will commit any more. No job may be running. */
    void deleteLeftovers() throws IOException {
        for (String folder : List.of(RESULTS, ERRORS)) {
            for (Path file : files(directory.resolve(folder), false)) {
                Files.deleteIfExists(file);
            }
        }
    }
}
