package dev.freshet.cuda;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.function.Consumer;

/**
 * Host data of a step on the device: token ids, rows, angles, tables of segments. Within a pass the same host object is copied once, and
 * the n-th object of every pass goes to the n-th buffer, so that passes of one shape use the same addresses. Confined to the engine
 * thread.
 */
final class Uploads {

    private final CudaContext context;
    private final List<DeviceBuffer> buffers = new ArrayList<>();
    private final IdentityHashMap<Object, DeviceBuffer> known = new IdentityHashMap<>();

    Uploads(CudaContext context) {
        this.context = context;
    }

    /** Claims buffers for as many objects of one pass, of so many elements each. */
    void prepare(int objects, int elements) {
        for (int i = 0; i < objects; i++) {
            buffer(i, elements);
        }
    }

    /** Forgets what was copied: host objects may have changed since. */
    void forget() {
        known.clear();
    }

    /** Device copy of the first ints of an array. */
    DeviceBuffer ints(int[] values, int count) {
        return copy(values, 4 * count, to -> to.asIntBuffer().put(values, 0, count));
    }

    /** Device copy of the first floats of an array. */
    DeviceBuffer floats(float[] values, int count) {
        return copy(values, 4 * count, to -> to.asFloatBuffer().put(values, 0, count));
    }

    /** Device copy of an object that writes itself. */
    DeviceBuffer copy(Object key, int bytes, Consumer<ByteBuffer> writer) {
        DeviceBuffer there = known.get(key);
        if (there != null) {
            return there;
        }
        if (bytes > context.stagingBytes()) {
            throw new IllegalStateException("Cannot copy to the device: expected at most " + context.stagingBytes()
                    + " bytes of step data, got " + bytes + ". Use fewer rows a step.");
        }
        DeviceBuffer buffer = buffer(known.size(), (bytes + 3) / 4);
        writer.accept(context.stage(bytes));
        context.send(bytes, buffer, 0);
        known.put(key, buffer);
        return buffer;
    }

    private DeviceBuffer buffer(int i, int elements) {
        if (i < buffers.size() && buffers.get(i).length() >= elements) {
            return buffers.get(i);
        }
        DeviceBuffer larger =
                context.allocate(Math.max(256, 2L * Integer.highestOneBit(Math.max(1, elements))), "data of a step");
        if (i < buffers.size()) {
            // The old one stays claimed until the end: work in the stream may still read it.
            buffers.set(i, larger);
        } else {
            buffers.add(larger);
        }
        return larger;
    }
}
