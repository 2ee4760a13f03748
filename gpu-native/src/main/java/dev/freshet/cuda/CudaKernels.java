package dev.freshet.cuda;

import dev.freshet.kernel.AttentionCall;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Draw;
import dev.freshet.kernel.Drawn;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.Matrix;
import dev.freshet.kernel.MatrixSource;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.StateRegions;
import dev.freshet.kernel.WeightFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The operations on a CUDA device. Activations, state and sums are f32; products with BF16 and INT8 weights round their activations to
 * bf16 and run on tensor cores. Whole passes are replayed as CUDA graphs. Confined to the engine thread.
 */
public final class CudaKernels implements Kernels {

    private static final Logger LOG = LoggerFactory.getLogger(CudaKernels.class);

    private static final int BLOCK = 128;

    /** Blocks of an elementwise operation at most; the rest is a loop. */
    private static final int MAX_BLOCKS = 4096;

    /** Host objects that a pass copies at most: tokens, positions, angles, segments or paths, rows with logits. */
    private static final int PASS_OBJECTS = 5;

    private final CudaDriver driver;
    private final String form;
    private final CudaContext context;
    private final KernelModule module;
    private final PassGraphs graphs;
    private final Launch launch;
    private final Uploads uploads;
    private final Products products;
    private final CudaAttention attention;
    private final CudaSampling sampling;
    private final StateCopies copies;
    private boolean closed;

    /**
     * Starts the backend on device 0.
     *
     * @param options timeout and use of graphs
     * @param faults what happens when the device cannot be trusted
     * @throws CudaError when the device refuses
     */
    CudaKernels(CudaDriver driver, KernelImages images, CudaOptions options, FaultHandler faults) {
        this.driver = driver;
        form = images.form(driver);
        context = new CudaContext(options.timeoutMillis(), faults);
        module = new KernelModule(context, images, driver);
        graphs = new PassGraphs(context, options.graphs());
        launch = new Launch(context, module, graphs);
        uploads = new Uploads(context);
        products = new Products(context, launch);
        attention = new CudaAttention(context, launch, uploads);
        sampling = new CudaSampling(context, launch);
        copies = new StateCopies(context);
    }

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public String describe() {
        long[] memory = context.memory();
        return "cuda kernels: " + context.deviceName() + ", compute capability " + driver.capability() / 10 + "."
                + driver.capability() % 10 + ", driver of CUDA " + driver.version() / 1000 + "."
                + driver.version() % 1000 / 10 + ", " + form + ", " + (context.claimedBytes() >> 20) + " MiB claimed, "
                + (memory[0] >> 20) + " of " + (memory[1] >> 20) + " MiB free";
    }

    @Override
    public Buffer allocate(long floats) {
        DeviceBuffer buffer = context.allocate(floats, "activations or state");
        context.fill(buffer, 0, floats, 0);
        return buffer;
    }

    @Override
    public Buffer upload(float[] values) {
        DeviceBuffer buffer = context.allocate(values.length, "parameters");
        write(values, 0, values.length, buffer, 0);
        return buffer;
    }

    @Override
    public void read(Buffer source, long offset, float[] out, int at, int count) {
        context.read(DeviceBuffer.of(source), offset, out, at, count);
    }

    @Override
    public float[] host(Buffer source, int count, float[] scratch) {
        float[] out = scratch.length < count ? new float[count] : scratch;
        read(source, 0, out, 0, count);
        return out;
    }

    @Override
    public void write(float[] source, int at, int count, Buffer target, long offset) {
        int most = context.stagingBytes() / 4;
        for (int done = 0; done < count; done += most) {
            int n = Math.min(most, count - done);
            context.stage(4 * n).asFloatBuffer().put(source, at + done, n);
            context.send(4 * n, DeviceBuffer.of(target), offset + done);
        }
    }

    @Override
    public boolean draws() {
        return true;
    }

    @Override
    public void prepareDraws(int vocab, int rows) {
        sampling.prepare(vocab, rows);
    }

    @Override
    public List<Drawn> draw(Buffer logits, int vocab, List<Draw> draws) {
        return sampling.draw(DeviceBuffer.of(logits), vocab, draws);
    }

    @Override
    public int[] top(Buffer logits, int vocab, int rows, int k) {
        return sampling.top(DeviceBuffer.of(logits), vocab, rows, k);
    }

    @Override
    public void prepare(List<AttentionSpec> layers, int segments, int rows) {
        attention.prepare(layers, rows);
        int dim = 1;
        for (AttentionSpec spec : layers) {
            dim = Math.max(dim, spec.headDim());
        }
        uploads.prepare(PASS_OBJECTS, Math.max(rows * dim, StepTables.mostInts(segments, rows)));
        context.started();
        long[] memory = context.memory();
        LOG.info(
                "Claimed {} MiB of device memory, all there will be; {} of {} MiB stay free",
                context.claimedBytes() >> 20,
                memory[0] >> 20,
                memory[1] >> 20);
    }

    @Override
    public void pass(Runnable operations) {
        uploads.forget();
        graphs.run(operations);
        uploads.forget();
    }

    /** Copies floats within the device; for measuring its memory. */
    void copy(DeviceBuffer from, DeviceBuffer to, long floats) {
        context.copy(from, to, floats);
    }

    /** Waits until the device is idle. */
    void waitForDevice() {
        context.synchronize();
    }

    /** Device memory that is not claimed. */
    long freeBytes() {
        return context.memory()[0];
    }

    /** A launch of any kernel, for tests of the launcher. */
    Launch launch(String kernel) {
        return launch.of(kernel);
    }

    /** Passes that ran as a replayed graph. */
    long replays() {
        return graphs.replays();
    }

    /** Graphs that are kept. */
    int graphs() {
        return graphs.size();
    }

    /** Host arrays may change between operations outside of a pass. */
    private void beginOperation() {
        if (!graphs.inPass()) {
            uploads.forget();
        }
    }

    @Override
    public Matrix pack(MatrixSource source, int n, int k, WeightFormat format) {
        return DeviceMatrix.pack(context, source, n, k, format);
    }

    @Override
    public void embed(Matrix table, int[] tokens, int rows, Buffer out) {
        lookUp(DeviceMatrix.of(table), tokens, rows, out, false);
    }

    @Override
    public void addEmbedding(Matrix table, int[] positions, int rows, Buffer x) {
        lookUp(DeviceMatrix.of(table), positions, rows, x, true);
    }

    private void lookUp(DeviceMatrix table, int[] ids, int rows, Buffer out, boolean add) {
        beginOperation();
        DeviceBuffer onDevice = uploads.ints(ids, rows);
        launch.of("embed_any_" + table.suffix())
                .pointer(table.data())
                .pointer(table.scales())
                .pointer(onDevice)
                .pointer(DeviceBuffer.of(out))
                .i32(rows)
                .i32(table.k())
                .flag(add)
                .run(rows, BLOCK, 0);
    }

    @Override
    public void matmul(Matrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out) {
        products.run(DeviceMatrix.of(w), bias, x, rows, out, false);
    }

    @Override
    public void matmulAdd(Matrix w, @Nullable Buffer bias, Buffer x, int rows, Buffer out) {
        products.run(DeviceMatrix.of(w), bias, x, rows, out, true);
    }

    @Override
    public void rmsNorm(Buffer x, int rows, int dim, Buffer weight, double eps, Buffer out) {
        norm("rms_norm_any_f32", x, rows, dim, weight, null, eps, out);
    }

    @Override
    public void layerNorm(Buffer x, int rows, int dim, Buffer weight, Buffer bias, double eps, Buffer out) {
        norm("layer_norm_any_f32", x, rows, dim, weight, bias, eps, out);
    }

    private void norm(
            String kernel, Buffer x, int rows, int dim, Buffer weight, @Nullable Buffer bias, double eps, Buffer out) {
        launch.of(kernel)
                .pointer(DeviceBuffer.of(x))
                .pointer(DeviceBuffer.of(weight))
                .pointer(bias == null ? null : DeviceBuffer.of(bias))
                .pointer(DeviceBuffer.of(out))
                .i32(dim)
                .f32((float) eps)
                .run(rows, BLOCK, 16);
    }

    @Override
    public void gather(Buffer x, int[] index, int rows, int dim, Buffer out) {
        beginOperation();
        DeviceBuffer onDevice = uploads.ints(index, rows);
        launch.of("gather_any_f32")
                .pointer(DeviceBuffer.of(x))
                .pointer(onDevice)
                .pointer(DeviceBuffer.of(out))
                .i32(dim)
                .run(rows, BLOCK, 0);
    }

    @Override
    public void rope(Buffer x, int rows, int stride, int heads, int dim, float[] cosSin) {
        beginOperation();
        DeviceBuffer onDevice = uploads.floats(cosSin, rows * dim);
        launch.of("rope_any_f32")
                .pointer(DeviceBuffer.of(x))
                .pointer(onDevice)
                .i32(stride)
                .i32(heads)
                .i32(dim)
                .run(rows, BLOCK, 0);
    }

    @Override
    public void siluMul(Buffer x, int rows, int dim, Buffer out) {
        elements("silu_mul_any_f32", x, null, null, out, rows * dim, dim);
    }

    @Override
    public void gelu(Buffer x, int count) {
        elements("gelu_any_f32", x, null, null, x, count, count);
    }

    @Override
    public void addSilu(Buffer x, Buffer y, int count, Buffer out) {
        elements("add_silu_any_f32", x, y, null, out, count, count);
    }

    @Override
    public void logSigmoidGate(Buffer x, int count) {
        elements("log_sigmoid_gate_any_f32", x, null, null, x, count, count);
    }

    @Override
    public void deltaGate(Buffer x, int rows, int kv, Buffer aLog, Buffer bias) {
        elements("delta_gate_any_f32", x, aLog, bias, x, rows * kv, kv);
    }

    private void elements(
            String kernel, Buffer x, @Nullable Buffer y, @Nullable Buffer z, Buffer out, int count, int dim) {
        launch.of(kernel)
                .pointer(DeviceBuffer.of(x))
                .pointer(y == null ? null : DeviceBuffer.of(y))
                .pointer(z == null ? null : DeviceBuffer.of(z))
                .pointer(DeviceBuffer.of(out))
                .i32(count)
                .i32(dim)
                .run(Math.min(MAX_BLOCKS, (count + BLOCK - 1) / BLOCK), BLOCK, 0);
    }

    @Override
    public void attend(AttentionCall call) {
        beginOperation();
        attention.attend(call);
    }

    @Override
    public void commit(AttentionCall call, Paths paths) {
        beginOperation();
        copies.awaitBefore(call, paths);
        attention.commit(call, paths);
    }

    @Override
    public Runnable beginSave(AttentionSpec spec, Buffer slot, int offset, int tokens, float[] out, int at) {
        return copies.begin(spec, DeviceBuffer.of(slot), offset, tokens, out, at);
    }

    @Override
    public int save(AttentionSpec spec, Buffer slot, int offset, int tokens, float[] out, int at) {
        beginSave(spec, slot, offset, tokens, out, at).run();
        return StateRegions.floats(spec, tokens);
    }

    @Override
    public void clear(AttentionSpec spec, Buffer slot, int offset, int tokens) {
        DeviceBuffer state = DeviceBuffer.of(slot);
        copies.await(state);
        if (spec.past() != AttentionSpec.Past.CACHE) {
            context.fill(state, offset, spec.slotFloats(), 0);
            return;
        }
        int used = Math.min(tokens, spec.capacity());
        int blocks = (used + AttentionSpec.BLOCK - 1) / AttentionSpec.BLOCK;
        for (int g = 0; g < spec.kvHeads(); g++) {
            long base = (long) offset + spec.head(g);
            context.fill(state, base, (long) blocks * AttentionSpec.BLOCK * spec.headDim(), 0);
            context.fill(state, base + spec.cacheValues(), (long) used * spec.headDim(), 0);
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        copies.close();
        graphs.close();
        module.unload();
        context.close();
    }
}
