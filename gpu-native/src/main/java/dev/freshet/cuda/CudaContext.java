package dev.freshet.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/**
 * Device 0, its one stream and its memory. Every status is checked here: a failed call becomes a {@link CudaError}, a fatal one also
 * ends the process. Confined to the engine thread.
 */
final class CudaContext implements AutoCloseable {

    private static final int STAGING = 8 << 20;

    private final FaultHandler faults;
    private final Watchdog watchdog;
    private final CUdevice device = new CUdevice();
    private final CUcontext handle = new CUcontext();
    private final CUstream stream = new CUstream();
    private final List<Address> allocations = new ArrayList<>();
    private final Pointer staging = new Pointer();
    private final ByteBuffer staged;
    private int stagedBytes;
    private long claimed;
    private boolean closed;
    private boolean started;
    private final int maxShared;

    CudaContext(long watchdogMillis, FaultHandler faults) {
        this.faults = faults;
        watchdog = new Watchdog(watchdogMillis, faults);
        check(JCudaDriver.cuInit(0), "start the CUDA driver");
        check(JCudaDriver.cuDeviceGet(device, 0), "open CUDA device 0");
        check(JCudaDriver.cuDevicePrimaryCtxRetain(handle, device), "open a CUDA context");
        bindThread();
        check(JCudaDriver.cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING), "create a CUDA stream");
        check(JCudaDriver.cuMemHostAlloc(staging, STAGING, 0), "claim " + STAGING + " bytes of pinned memory");
        staged = staging.getByteBuffer(0, STAGING).order(ByteOrder.nativeOrder());
        maxShared = attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    }

    /** Lets the calling thread use the device. */
    void bindThread() {
        check(JCudaDriver.cuCtxSetCurrent(handle), "use the CUDA context");
    }

    /** Turns a status into an error. */
    void check(int status, String what) {
        if (status == CUresult.CUDA_SUCCESS) {
            return;
        }
        CudaError error = new CudaError(what, status, CudaStatus.hint(status));
        if (CudaStatus.fatal(status)) {
            faults.fault(FaultHandler.BROKEN, String.valueOf(error.getMessage()));
        }
        throw error;
    }

    CUstream stream() {
        return stream;
    }

    int attribute(int attribute) {
        return CudaDriver.attribute(device, attribute);
    }

    /** Shared memory that one block can have. */
    int maxSharedBytes() {
        return maxShared;
    }

    String deviceName() {
        byte[] name = new byte[256];
        check(JCudaDriver.cuDeviceGetName(name, name.length, device), "read the device's name");
        int end = 0;
        while (end < name.length && name[end] != 0) {
            end++;
        }
        return new String(name, 0, end, StandardCharsets.UTF_8);
    }

    /** Bytes of device memory claimed so far. */
    long claimedBytes() {
        return claimed;
    }

    /** Free and total bytes of the device. */
    long[] memory() {
        long[] free = new long[1];
        long[] total = new long[1];
        check(JCudaDriver.cuMemGetInfo(free, total), "read the device's memory");
        return new long[] {free[0], total[0]};
    }

    /** Ends the time in which memory may be claimed. */
    void started() {
        started = true;
    }

    /**
     * Claims elements of 4 bytes; their content is undefined.
     *
     * @throws IllegalStateException after the start
     */
    DeviceBuffer allocate(long elements, String what) {
        if (started) {
            throw new IllegalStateException(
                    "Cannot claim device memory for " + what + ": expected all of it to be claimed"
                            + " at the start, got " + elements + " elements after it. Claim them before prepare().");
        }
        Address address = new Address();
        long bytes = Math.max(4, 4 * elements);
        check(JCudaDriver.cuMemAlloc(address, bytes), "claim " + bytes + " bytes of device memory for " + what);
        allocations.add(address);
        claimed += bytes;
        return new DeviceBuffer(address, elements);
    }

    /** Fills elements with one 32-bit pattern. */
    void fill(DeviceBuffer buffer, long offset, long count, int bits) {
        buffer.check(offset, count);
        if (count > 0) {
            check(JCudaDriver.cuMemsetD32Async(buffer.at(offset), bits, count, stream), "fill device memory");
        }
    }

    /** Copies elements from the start of one buffer to the start of another. */
    void copy(DeviceBuffer from, DeviceBuffer to, long count) {
        from.check(0, count);
        to.check(0, count);
        check(JCudaDriver.cuMemcpyDtoDAsync(to.address(), from.address(), 4 * count, stream), "copy within the device");
    }

    /** Room for so many bytes of one upload in pinned memory; waits for older uploads when it is full. Fill it, then {@link #send}. */
    ByteBuffer stage(int bytes) {
        int from = (stagedBytes + 15) & ~15;
        if (from + bytes > STAGING) {
            synchronize();
            from = 0;
        }
        stagedBytes = from + bytes;
        return staged.slice(from, bytes).order(ByteOrder.nativeOrder());
    }

    /** Largest upload. */
    int stagingBytes() {
        return STAGING;
    }

    /** Copies the last staged bytes to the device, in the order of the stream. */
    void send(int bytes, DeviceBuffer to, long offset) {
        to.check(offset, (bytes + 3) / 4);
        Pointer from = staging.withByteOffset(stagedBytes - bytes);
        check(JCudaDriver.cuMemcpyHtoDAsync(to.at(offset), from, bytes, stream), "copy to the device");
    }

    /** Copies floats to the host and waits for them. */
    void read(DeviceBuffer from, long offset, float[] out, int at, int count) {
        from.check(offset, count);
        for (int done = 0; done < count; ) {
            int n = Math.min(count - done, STAGING / 4);
            synchronize();
            long source = offset + done;
            check(JCudaDriver.cuMemcpyDtoHAsync(staging, from.at(source), 4L * n, stream), "copy from the device");
            synchronize();
            staged.slice(0, 4 * n)
                    .order(ByteOrder.nativeOrder())
                    .asFloatBuffer()
                    .get(out, at + done, n);
            done += n;
        }
    }

    /** Copies the first bytes of a buffer to the host and waits for them; they stay there until the next upload is staged. */
    ByteBuffer fetch(DeviceBuffer from, int bytes) {
        from.check(0, (bytes + 3) / 4);
        ByteBuffer to = stage(bytes);
        Pointer target = staging.withByteOffset(stagedBytes - bytes);
        check(JCudaDriver.cuMemcpyDtoHAsync(target, from.address(), bytes, stream), "copy from the device");
        synchronize();
        return to;
    }

    /** Waits until the device has done everything it was given. */
    void synchronize() {
        guarded(() -> JCudaDriver.cuStreamSynchronize(stream), "finish the work on the device");
        stagedBytes = 0;
    }

    /** Makes a call that may block on the device, under the watchdog, and checks its status. */
    void guarded(IntSupplier call, String what) {
        watchdog.enter();
        try {
            check(call.getAsInt(), what);
        } finally {
            watchdog.leave();
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        JCudaDriver.cuCtxSetCurrent(handle);
        JCudaDriver.cuStreamSynchronize(stream);
        for (Address address : allocations) {
            JCudaDriver.cuMemFree(address);
        }
        JCudaDriver.cuMemFreeHost(staging);
        JCudaDriver.cuStreamDestroy(stream);
        JCudaDriver.cuDevicePrimaryCtxRelease(device);
        watchdog.close();
    }
}
