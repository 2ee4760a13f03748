package dev.freshet.job;

import java.util.Arrays;

/** A set of hashes at about two longs each, for millions of request ids. Confined to one thread. */
final class LongHashSet {

    private static final int SMALLEST = 1024;

    private long[] table = new long[SMALLEST];
    private int size;
    private boolean hasZero;

    /** Adds a hash and returns whether it was new. */
    boolean add(long hash) {
        if (hash == 0) {
            boolean isNew = !hasZero;
            hasZero = true;
            return isNew;
        }
        if (2 * (size + 1) > table.length) {
            grow();
        }
        int at = place(table, hash);
        if (table[at] == hash) {
            return false;
        }
        table[at] = hash;
        size++;
        return true;
    }

    boolean contains(long hash) {
        return hash == 0 ? hasZero : table[place(table, hash)] == hash;
    }

    /** Returns the hashes, in no order. */
    long[] toArray() {
        // The zero that the table cannot hold is what the copy is filled up with.
        return Arrays.copyOf(Arrays.stream(table).filter(hash -> hash != 0).toArray(), size + (hasZero ? 1 : 0));
    }

    private void grow() {
        if (table.length == 1 << 30) {
            throw new IllegalStateException("Cannot verify the topics: expected at most " + (1 << 29)
                    + " request ids, got more. Verify a topic with a shorter retention.");
        }
        long[] larger = new long[2 * table.length];
        Arrays.stream(table).filter(hash -> hash != 0).forEach(hash -> larger[place(larger, hash)] = hash);
        table = larger;
    }

    /** The values are hashes already, so that their high bits serve as a position. */
    private static int place(long[] table, long hash) {
        int at = (int) (hash >>> 33) & (table.length - 1);
        while (table[at] != 0 && table[at] != hash) {
            at = (at + 1) & (table.length - 1);
        }
        return at;
    }
}
