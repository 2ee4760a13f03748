package dev.freshet.wire;

import java.lang.management.ManagementFactory;

/** What the current thread has allocated, in bytes: an upper bound of what it can hold. */
final class Allocations {

    static final long EIGHT_MIB = 8 << 20;

    private Allocations() {}

    static long now() {
        return ((com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
    }
}
