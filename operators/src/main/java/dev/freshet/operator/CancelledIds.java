package dev.freshet.operator;

import java.io.IOException;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Set;

/**
 * Requests that were cancelled before they came: the control topic may be ahead of the prompts. Bounded, the oldest id is forgotten
 * first. Confined to the task thread.
 */
final class CancelledIds {

    /** Enough for the cancellations that overtake their requests, a few hundred kilobytes at most. */
    static final int LIMIT = 4096;

    private final Set<String> ids = new LinkedHashSet<>();

    void add(String id) {
        ids.add(id);
        Iterator<String> oldest = ids.iterator();
        while (ids.size() > LIMIT) {
            oldest.next();
            oldest.remove();
        }
    }

    /** Whether a request was cancelled before; it is asked once. */
    boolean take(String id) {
        return ids.remove(id);
    }

    /** The ids as bytes for a checkpoint, oldest first. */
    byte[] toBytes() {
        ByteWriter out = new ByteWriter();
        out.int32(ids.size());
        ids.forEach(out::text);
        return out.toBytes();
    }

    /** Adds the ids of a checkpoint; every subtask wrote its own. */
    void addAll(byte[] bytes) throws IOException {
        ByteReader in = new ByteReader(bytes);
        int count = in.count(4);
        for (int i = 0; i < count; i++) {
            add(in.presentText());
        }
        in.end();
    }
}
