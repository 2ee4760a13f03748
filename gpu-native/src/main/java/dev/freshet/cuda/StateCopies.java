package dev.freshet.cuda;

import dev.freshet.kernel.AttentionCall;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.Segments;
import dev.freshet.kernel.StateRegions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import jcuda.Pointer;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/**
 * Copies of states for checkpoints, on a stream and a thread of their own while decoding goes on. What a sequence has written stays as it
 * is until its group closes: later tokens go behind it. So only a commit that closes a group, and a slot that is cleared, wait for the
 * copies of their slot. The thread fills one half of pinned memory while it empties the other. Methods are confined to the engine
 * thread; a returned wait may run anywhere.
 */
final class StateCopies implements AutoCloseable {

    private static final int HALF = 4 << 20;

    /** Floats between two regions that are copied along rather than giving the second a copy of its own. */
    private static final int GAP = 1024;

    private final CudaContext context;
    private final CUstream stream = new CUstream();
    private final Pointer pinned = new Pointer();
    private final ByteBuffer halves;
    private final CUevent[] filled = {new CUevent(), new CUevent()};
    private final ExecutorService worker = Executors.newSingleThreadExecutor(task -> {
        Thread thread = new Thread(task, "cuda-state-copy");
        thread.setDaemon(true);
        return thread;
    });
    private final List<Copy> pending = new ArrayList<>();

    /** Copies under way out of one slot. */
    private record Copy(DeviceBuffer slot, CompletableFuture<Void> done) {}

    /** Rows of a region and where their floats go. */
    private record Rows(int start, int rows, int stride, int width, int at) {
        int end() {
            return start + (rows - 1) * stride + width;
        }
    }

    /** Floats [start, end) of a slot, copied at once, and the parts of regions in them. */
    private record Piece(int start, int end, List<Rows> rows) {}

    StateCopies(CudaContext context) {
        this.context = context;
        context.check(
                JCudaDriver.cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING),
                "create a CUDA stream for checkpoints");
        context.check(JCudaDriver.cuMemHostAlloc(pinned, 2L * HALF, 0), "claim pinned memory for checkpoints");
        halves = pinned.getByteBuffer(0, 2L * HALF).order(ByteOrder.nativeOrder());
        for (CUevent event : filled) {
            create(event);
        }
    }

    private void create(CUevent event) {
        context.check(JCudaDriver.cuEventCreate(event, CUevent_flags.CU_EVENT_DISABLE_TIMING), "create a CUDA event");
    }

    /** Begins the copy of what a sequence of so many tokens has in a layer's part of a slot; the returned waits for it. */
    Runnable begin(AttentionSpec spec, DeviceBuffer slot, int offset, int tokens, float[] out, int at) {
        List<Piece> pieces = pieces(spec, offset, tokens, at);
        CUevent committed = new CUevent();
        create(committed);
        context.check(JCudaDriver.cuEventRecord(committed, context.stream()), "mark the last commit");
        CompletableFuture<Void> done = CompletableFuture.runAsync(() -> copy(committed, slot, pieces, out), worker);
        pending.removeIf(copy -> copy.done.isDone());
        pending.add(new Copy(slot, done));
        return done::join;
    }

    /** Regions that lie close together as one piece, long ones cut to what half of the pinned memory holds. */
    private static List<Piece> pieces(AttentionSpec spec, int offset, int tokens, int at) {
        List<Piece> out = new ArrayList<>();
        int[] next = {at};
        StateRegions.visit(spec, tokens, (start, rows, stride, width) -> {
            // A single row may be long: it is cut; many rows are cut between rows.
            int atOnce = rows == 1 ? 1 : Math.max(1, HALF / 4 / stride);
            for (int r = 0; r < rows; r += atOnce) {
                int count = Math.min(atOnce, rows - r);
                for (int c = 0; c < width; c += HALF / 4) {
                    int some = Math.min(HALF / 4, width - c);
                    add(out, new Rows(offset + start + r * stride + c, count, stride, some, next[0]));
                    next[0] += count * some;
                }
            }
        });
        return out;
    }

    private static void add(List<Piece> pieces, Rows rows) {
        Piece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
        boolean joined = last != null
                && rows.start >= last.end
                && rows.start - last.end <= GAP
                && rows.end() - last.start <= HALF / 4;
        if (last != null && joined) {
            last.rows.add(rows);
            pieces.set(pieces.size() - 1, new Piece(last.start, rows.end(), last.rows));
        } else {
            pieces.add(new Piece(rows.start, rows.end(), new ArrayList<>(List.of(rows))));
        }
    }

    /** Runs on the thread of the copies: one piece is on its way while the one before it is taken out of pinned memory. */
    private void copy(CUevent committed, DeviceBuffer slot, List<Piece> pieces, float[] out) {
        context.bindThread();
        context.check(JCudaDriver.cuStreamWaitEvent(stream, committed, 0), "wait for the last commit");
        for (int i = 0; i <= pieces.size(); i++) {
            if (i < pieces.size()) {
                Piece piece = pieces.get(i);
                int half = i % 2;
                context.check(
                        JCudaDriver.cuMemcpyDtoHAsync(
                                pinned.withByteOffset((long) half * HALF),
                                slot.at(piece.start),
                                4L * (piece.end - piece.start),
                                stream),
                        "copy a state from the device");
                context.check(JCudaDriver.cuEventRecord(filled[half], stream), "mark a copy");
            }
            if (i > 0) {
                int half = (i - 1) % 2;
                context.check(JCudaDriver.cuEventSynchronize(filled[half]), "wait for a copy");
                take(halves.slice(half * HALF, HALF).order(ByteOrder.nativeOrder()), pieces.get(i - 1), out);
            }
        }
        context.check(JCudaDriver.cuEventDestroy(committed), "end an event");
    }

    private static void take(ByteBuffer from, Piece piece, float[] out) {
        var floats = from.asFloatBuffer();
        for (Rows rows : piece.rows) {
            for (int r = 0; r < rows.rows; r++) {
                floats.get(rows.start - piece.start + r * rows.stride, out, rows.at + r * rows.width, rows.width);
            }
        }
    }

    /** Waits for the copies of every slot whose group a commit closes. */
    void awaitBefore(AttentionCall call, Paths paths) {
        if (pending.isEmpty() || call.spec().past() == AttentionSpec.Past.CACHE) {
            return;
        }
        Segments segments = call.segments();
        for (int s = 0; s < segments.count(); s++) {
            if (paths.size(s) > 0
                    && (segments.position(s) + paths.size(s)) % call.spec().group() == 0) {
                await(DeviceBuffer.of(call.slots()[segments.slot(s)]));
            }
        }
    }

    /** Waits for the copies of a slot. */
    void await(DeviceBuffer slot) {
        for (Iterator<Copy> all = pending.iterator(); all.hasNext(); ) {
            Copy copy = all.next();
            if (copy.slot == slot) {
                context.guarded(
                        () -> {
                            copy.done.join();
                            return 0;
                        },
                        "copy a state");
                all.remove();
            }
        }
    }

    @Override
    public void close() {
        pending.forEach(copy -> copy.done.handle((nothing, error) -> nothing).join());
        worker.shutdown();
        JCudaDriver.cuStreamSynchronize(stream);
        for (CUevent event : filled) {
            JCudaDriver.cuEventDestroy(event);
        }
        JCudaDriver.cuStreamDestroy(stream);
        JCudaDriver.cuMemFreeHost(pinned);
    }
}
