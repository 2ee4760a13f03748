package dev.freshet.operator;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Sequences that processes died with, one small file each. What a process was killed for from outside differs from death to death,
 * what a sequence kills it with is the same tokens again: only deaths whose tokens overlap add up. Confined to the task thread.
 */
final class Suspects {

    /** Deaths after which a sequence runs with no other beside it. */
    static final int ISOLATED = 2;

    /** Deaths after which it is given up: the last one had no other sequence to blame. */
    static final int CONVICTED = 3;

    private static final String SUFFIX = ".suspect";

    private final Path directory;
    private final String prefix;
    private final Map<Long, Suspect> known = new HashMap<>();

    /**
     * Deaths in which the same tokens of a sequence were being run. Immutable.
     *
     * @param deaths how many
     * @param from first of the tokens that all of them ran
     * @param to one more than the last
     */
    record Suspect(int deaths, int from, int to) {}

    Suspects(Path directory, String prefix) {
        this.directory = directory;
        this.prefix = prefix;
    }

    /** Reads what other processes wrote. */
    void load() throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, prefix + "*" + SUFFIX)) {
            for (Path file : files) {
                String name = String.valueOf(file.getFileName());
                String hash = name.substring(prefix.length(), name.length() - SUFFIX.length());
                Suspect suspect = read(file);
                if (suspect != null) {
                    known.put(Long.parseUnsignedLong(hash, 16), suspect);
                }
            }
        }
    }

    private static @Nullable Suspect read(Path file) throws IOException {
        if (!Files.exists(file)) {
            return null;
        }
        String[] parts =
                Files.readString(file, StandardCharsets.US_ASCII).strip().split(" ");
        return new Suspect(Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), Integer.parseInt(parts[2]));
    }

    private Path file(long hash) {
        return directory.resolve(prefix + HexFormat.of().toHexDigits(hash) + SUFFIX);
    }

    /** Notes that a process died while it ran the tokens from one position to another of a sequence. */
    void accuse(long hash, int from, int to) throws IOException {
        Suspect before = read(file(hash));
        Suspect now = new Suspect(1, from, to);
        if (before != null && Math.max(before.from(), from) < Math.min(before.to(), to)) {
            now = new Suspect(before.deaths() + 1, Math.max(before.from(), from), Math.min(before.to(), to));
        }
        Path written = file(hash).resolveSibling(file(hash).getFileName() + ".new");
        Files.writeString(written, now.deaths() + " " + now.from() + " " + now.to(), StandardCharsets.US_ASCII);
        Files.move(written, file(hash), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    @Nullable
    Suspect get(String sequence) {
        return known.isEmpty() ? null : known.get(hash(sequence));
    }

    void acquit(String sequence) {
        if (known.isEmpty() || known.remove(hash(sequence)) == null) {
            return;
        }
        try {
            Files.deleteIfExists(file(hash(sequence)));
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot delete the record of a suspect (" + directory + ")", e);
        }
    }

    /** The first eight bytes of SHA-256. */
    static long hash(String sequence) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(sequence.getBytes(StandardCharsets.UTF_8));
            return java.nio.ByteBuffer.wrap(digest).getLong();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Cannot name a sequence: expected SHA-256 in this Java, got none.", e);
        }
    }
}
