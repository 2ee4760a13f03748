package dev.freshet.cuda;

import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/**
 * Replays passes as CUDA graphs. A pass is first run without launching: uploads happen, every launch only enters a checksum over kernel,
 * grid and parameters. All that differs between two steps of the same shape lies in uploads, so equal checksums mean equal launches. A
 * pass that was seen before is captured the second time and replayed from then on. Confined to the engine thread.
 */
final class PassGraphs implements AutoCloseable {

    /** Most passes that are remembered; the one not used for longest goes. */
    static final int CAPACITY = 128;

    private enum Mode {
        /** Launches happen. */
        DIRECT,
        /** Launches are only noted. */
        LEARNING
    }

    private final CudaContext context;
    private final boolean enabled;
    private final Map<Long, CUgraphExec> graphs = new LinkedHashMap<>(CAPACITY, 0.75f, true);
    private final Map<Long, Boolean> seen = new LinkedHashMap<>(CAPACITY, 0.75f, true);
    private Mode mode = Mode.DIRECT;
    private boolean inPass;
    private long checksum;
    private long replays;

    PassGraphs(CudaContext context, boolean enabled) {
        this.context = context;
        this.enabled = enabled;
    }

    /** Whether uploads of host arrays may be shared until the pass ends. */
    boolean inPass() {
        return inPass;
    }

    /** Passes that were replayed. */
    long replays() {
        return replays;
    }

    /** Graphs that are kept. */
    int size() {
        return graphs.size();
    }

    /** Notes a launch; returns whether it must happen now. */
    boolean note(int kernel, int x, int y, int z, int block, int shared, ByteBuffer params, int bytes) {
        if (mode == Mode.DIRECT) {
            return true;
        }
        mix(((long) kernel << 32) | x);
        mix(((long) y << 32) | z);
        mix(((long) block << 32) | shared);
        for (int i = 0; i < bytes; i += 8) {
            mix(params.getLong(i));
        }
        return false;
    }

    /** Notes an operation of the device that is no kernel; returns whether it must happen now. */
    boolean note(long... what) {
        if (mode == Mode.DIRECT) {
            return true;
        }
        for (long w : what) {
            mix(w);
        }
        return false;
    }

    /** One step of a 64-bit hash in the manner of splitmix. */
    private void mix(long value) {
        long h = (checksum ^ value) * 0xbf58476d1ce4e5b9L + 0x9e3779b97f4a7c15L;
        checksum = (h ^ (h >>> 29)) * 0x94d049bb133111ebL;
        checksum ^= checksum >>> 32;
    }

    /** Runs the operations of a pass, by replay where they are known. */
    void run(Runnable operations) {
        if (!enabled || inPass) {
            operations.run();
            return;
        }
        inPass = true;
        try {
            checksum = 1;
            mode = Mode.LEARNING;
            operations.run();
            mode = Mode.DIRECT;
            long key = checksum;
            CUgraphExec graph = graphs.get(key);
            if (graph == null && seen.put(key, Boolean.TRUE) != null) {
                graph = capture(operations);
                graphs.put(key, graph);
            }
            if (graph != null) {
                replay(graph);
            } else {
                operations.run();
            }
            trim();
        } finally {
            mode = Mode.DIRECT;
            inPass = false;
        }
    }

    private CUgraphExec capture(Runnable operations) {
        context.check(
                JCudaDriver.cuStreamBeginCapture(
                        context.stream(), CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                "begin the capture of a graph");
        CUgraph graph = new CUgraph();
        try {
            operations.run();
        } finally {
            context.check(JCudaDriver.cuStreamEndCapture(context.stream(), graph), "end the capture of a graph");
        }
        CUgraphExec executable = new CUgraphExec();
        context.check(JCudaDriver.cuGraphInstantiate(executable, graph, 0L), "make a graph ready");
        JCudaDriver.cuGraphDestroy(graph);
        return executable;
    }

    private void replay(CUgraphExec graph) {
        replays++;
        context.guarded(() -> JCudaDriver.cuGraphLaunch(graph, context.stream()), "launch a graph");
    }

    private void trim() {
        if (graphs.size() > CAPACITY) {
            var oldest = graphs.entrySet().iterator();
            destroy(oldest.next().getValue());
            oldest.remove();
        }
        if (seen.size() > 8 * CAPACITY) {
            var oldest = seen.keySet().iterator();
            oldest.next();
            oldest.remove();
        }
    }

    private static void destroy(@Nullable CUgraphExec graph) {
        if (graph != null) {
            JCudaDriver.cuGraphExecDestroy(graph);
        }
    }

    @Override
    public void close() {
        graphs.values().forEach(PassGraphs::destroy);
        graphs.clear();
    }
}
