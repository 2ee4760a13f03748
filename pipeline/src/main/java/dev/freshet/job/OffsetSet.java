package dev.freshet.job;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;

/** A set of offsets of one partition, one bit each, in pages made on demand. Confined to one thread. */
final class OffsetSet {

    private static final int PAGE_BITS = 16;
    private static final long IN_PAGE = (1 << PAGE_BITS) - 1;

    private final Map<Long, BitSet> pages = new HashMap<>();

    /** Adds an offset and returns whether it was new. */
    boolean add(long offset) {
        BitSet page = pages.computeIfAbsent(offset >>> PAGE_BITS, key -> new BitSet());
        int bit = (int) (offset & IN_PAGE);
        boolean isNew = !page.get(bit);
        page.set(bit);
        return isNew;
    }

    boolean contains(long offset) {
        BitSet page = pages.get(offset >>> PAGE_BITS);
        return page != null && page.get((int) (offset & IN_PAGE));
    }

    long size() {
        return pages.values().stream().mapToLong(BitSet::cardinality).sum();
    }

    /** Returns the members in order. */
    long[] toArray() {
        return pages.entrySet().stream()
                .sorted(Map.Entry.comparingByKey())
                .flatMapToLong(page -> page.getValue().stream().mapToLong(bit -> (page.getKey() << PAGE_BITS) + bit))
                .toArray();
    }
}
