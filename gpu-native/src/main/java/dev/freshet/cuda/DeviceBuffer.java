package dev.freshet.cuda;

import dev.freshet.kernel.Buffer;
import jcuda.driver.CUdeviceptr;

/** Device memory of 4-byte elements. Confined to the engine thread. */
final class DeviceBuffer implements Buffer {

    private final Address address;
    private final long length;

    DeviceBuffer(Address address, long length) {
        this.address = address;
        this.length = length;
    }

    /** The memory behind a buffer of this backend. */
    static DeviceBuffer of(Buffer buffer) {
        return (DeviceBuffer) buffer;
    }

    @Override
    public long length() {
        return length;
    }

    Address address() {
        return address;
    }

    /** Pointer to element i. */
    CUdeviceptr at(long i) {
        return address.withByteOffset(4 * i);
    }

    /** Refuses a range outside of the buffer. */
    void check(long offset, long count) {
        if (offset < 0 || count < 0 || offset + count > length) {
            throw new IndexOutOfBoundsException("Cannot reach device memory: expected elements within [0, " + length
                    + "), got [" + offset + ", " + (offset + count) + ")");
        }
    }
}
