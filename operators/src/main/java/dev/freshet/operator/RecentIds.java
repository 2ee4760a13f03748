package dev.freshet.operator;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The last requests of a subtask, as pairs of hashes, to recognise repetitions: an id that comes again with the same request was
 * sent twice, one that comes with another request is a mistake of the producer. Bounded: the oldest id is forgotten first.
 * Confined to the task thread.
 */
final class RecentIds {

    /** What is known about a request. */
    enum Verdict {
        /** The id is new, or forgotten. */
        NEW,
        /** The same request was seen. */
        REPEATED,
        /** Another request with this id was seen. */
        CONFLICT
    }

    private final int limit;
    private final LinkedHashMap<Long, Long> contents = new LinkedHashMap<>();

    /**
     * Creates an empty memory.
     *
     * @param limit ids remembered, 0 to remember nothing
     */
    RecentIds(int limit) {
        this.limit = limit;
    }

    /** Compares a request with the remembered ones, and remembers it when it is new. */
    Verdict see(String id, byte[] request) {
        if (limit == 0) {
            return Verdict.NEW;
        }
        long content = hash(request);
        Long known = contents.putIfAbsent(hash(id.getBytes(StandardCharsets.UTF_8)), content);
        if (known != null) {
            return known == content ? Verdict.REPEATED : Verdict.CONFLICT;
        }
        trim();
        return Verdict.NEW;
    }

    /** Whether a request of this id came and is remembered. */
    boolean knows(String id) {
        return contents.containsKey(hash(id.getBytes(StandardCharsets.UTF_8)));
    }

    int size() {
        return contents.size();
    }

    /** The ids as bytes for a checkpoint, oldest first. */
    byte[] toBytes() {
        ByteWriter out = new ByteWriter();
        out.int32(contents.size());
        for (Map.Entry<Long, Long> entry : contents.entrySet()) {
            out.int64(entry.getKey()).int64(entry.getValue());
        }
        return out.toBytes();
    }

    /** Adds the ids of a checkpoint; after a change of parallelism there may be several. */
    void addAll(byte[] bytes) throws IOException {
        ByteReader in = new ByteReader(bytes);
        int count = in.count(16);
        for (int i = 0; i < count; i++) {
            contents.putIfAbsent(in.int64(), in.int64());
        }
        in.end();
        trim();
    }

    private void trim() {
        var oldest = contents.entrySet().iterator();
        while (contents.size() > limit) {
            oldest.next();
            oldest.remove();
        }
    }

    /** The first eight bytes of SHA-256: a producer cannot make two requests look the same. */
    private static long hash(byte[] bytes) {
        try {
            return java.nio.ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(bytes))
                    .getLong();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Cannot compare requests: expected SHA-256 in this Java, got none.", e);
        }
    }
}
