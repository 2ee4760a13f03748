package dev.freshet.model;

import dev.freshet.attention.StateLayout;
import dev.freshet.attention.StatePool;
import dev.freshet.kernel.AttentionCall;
import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Draw;
import dev.freshet.kernel.Drawn;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.Segments;
import dev.freshet.tensor.TensorSource;
import java.util.List;
import java.util.Objects;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A Llama or GPT-2 decoder on one backend. All memory, activations and slots included, is claimed by {@link #load}. Confined to the
 * engine thread.
 */
public final class Decoder implements Model {

    private final ModelConfig config;
    private final Kernels kernels;
    private final DecoderOptions options;
    private final DecoderWeights weights;
    private final StatePool pool;
    private final int context;

    private final Buffer x;
    private final Buffer normed;
    private final Buffer qkv;
    private final Buffer mixed;
    private final Buffer inner;
    private final Buffer activated;
    private final Buffer picked;
    private final Buffer hidden;
    private final Buffer logits;
    private final Buffer[] records;
    private final @Nullable AttentionCall[] calls;
    private final @Nullable Buffer lowRank;
    private final @Nullable Buffer gates;
    private final MedusaHeads medusa;
    private final float[] cosSin;
    private final int[] positions;
    private float[] hostLogits = new float[0];
    /** Rows of logits that the last pass has made and the host has not. */
    private int unread;

    private final Runnable forwardPass = this::runForward;
    private final Runnable commitPass = this::runCommit;
    private final String stateName;
    private @Nullable Batch last;
    private @Nullable Paths accepted;

    private Decoder(ModelConfig config, Kernels kernels, DecoderOptions options, DecoderWeights weights) {
        this.config = config;
        this.kernels = kernels;
        this.options = options;
        this.weights = weights;
        int own = config.contextLength();
        context = options.context() > 0 ? Math.min(options.context(), own) : own;
        List<AttentionSpec> specs = config.specs(context);
        pool = new StatePool(kernels, new StateLayout(specs), options.slots());
        int rows = options.maxRows();
        boolean llama = config.architecture() == ModelConfig.Architecture.LLAMA;
        int wide = config.heads() * config.headDim();
        x = kernels.allocate((long) rows * config.hidden());
        normed = kernels.allocate((long) rows * config.hidden());
        qkv = kernels.allocate((long) rows * (config.heads() + 2 * config.kvHeads()) * config.headDim());
        mixed = kernels.allocate((long) rows * wide);
        inner = kernels.allocate((long) rows * config.intermediate() * (llama ? 2 : 1));
        activated = llama ? kernels.allocate((long) rows * config.intermediate()) : inner;
        picked = kernels.allocate((long) options.maxLogitRows() * config.hidden());
        hidden = kernels.allocate((long) options.maxLogitRows() * config.hidden());
        logits = kernels.allocate((long) options.maxLogitRows() * config.vocabSize());
        records = new Buffer[specs.size()];
        calls = new AttentionCall[records.length];
        for (int i = 0; i < records.length; i++) {
            records[i] = kernels.allocate((long) rows * specs.get(i).recordFloats());
        }
        int rank = 0;
        int gateWidth = 0;
        for (DecoderWeights.Layer layer : weights.layers()) {
            if (layer.gate() != null) {
                rank = Math.max(rank, layer.gate().first().n());
                gateWidth = Math.max(gateWidth, Math.max(2 * config.kvHeads(), config.kvHeads() * config.headDim()));
            }
        }
        lowRank = rank == 0 ? null : kernels.allocate((long) rows * rank);
        gates = gateWidth == 0 ? null : kernels.allocate((long) rows * gateWidth);
        medusa = new MedusaHeads(kernels, weights.medusa(), config, options.maxLogitRows(), picked, normed, logits);
        cosSin = new float[llama ? rows * config.headDim() : 0];
        positions = new int[rows];
        kernels.prepareDraws(config.vocabSize(), options.maxLogitRows());
        kernels.prepare(specs, options.slots(), rows);
        stateName = kernels.name() + "/" + (options.weights() == null ? "own" : options.weights()) + "/"
                + pool.layout().fingerprint();
    }

    /**
     * Loads a model.
     *
     * @throws dev.freshet.request.ConfigError naming the tensor, expected and got
     */
    public static Decoder load(ModelDirectory directory, Kernels kernels, DecoderOptions options) {
        return load(directory, kernels, options, layers -> {});
    }

    /** Loads a model and reports the number of layers read. */
    public static Decoder load(
            ModelDirectory directory, Kernels kernels, DecoderOptions options, IntConsumer progress) {
        return load(directory.config(), directory.weights(), kernels, options, progress);
    }

    /** Loads a model whose tensors need not lie in a directory. */
    public static Decoder load(
            ModelConfig config, TensorSource tensors, Kernels kernels, DecoderOptions options, IntConsumer progress) {
        DecoderWeights weights = new DecoderLoader(config, tensors, kernels, options.weights(), progress).load();
        return new Decoder(config, kernels, options, weights);
    }

    /** Loads a model with the default sizes for a number of slots. */
    public static Decoder load(ModelDirectory directory, Kernels kernels, int slots) {
        return load(directory, kernels, DecoderOptions.of(slots));
    }

    @Override
    public int vocabSize() {
        return config.vocabSize();
    }

    @Override
    public int contextLength() {
        return context;
    }

    @Override
    public int groupSize() {
        return config.groupSize();
    }

    @Override
    public int slots() {
        return pool.size();
    }

    @Override
    public long bytesPerSlot() {
        return pool.layout().bytes();
    }

    @Override
    public int maxRows() {
        return options.maxRows();
    }

    @Override
    public int maxLogitRows() {
        return options.maxLogitRows();
    }

    /** Memory of the weights. */
    public long weightBytes() {
        return weights.matrixBytes();
    }

    @Override
    public void forward(Batch batch) {
        last = batch;
        placeRows(batch.segments(), batch.rows());
        kernels.pass(forwardPass);
        unread = batch.logitRows();
    }

    private void runForward() {
        Batch batch = Objects.requireNonNull(last);
        int rows = batch.rows();
        kernels.embed(weights.embedding(), batch.tokens(), rows, x);
        if (weights.positions() != null) {
            kernels.addEmbedding(weights.positions(), positions, rows, x);
        }
        for (int i = 0; i < weights.layers().size(); i++) {
            layer(i, rows, batch.segments());
        }
        int n = batch.logitRows();
        if (n > 0) {
            kernels.gather(x, batch.logitRow(), n, config.hidden(), picked);
            norm(weights.finalNorm(), picked, n, hidden);
            kernels.matmul(weights.output(), null, hidden, n, logits);
        }
    }

    private void placeRows(Segments segments, int rows) {
        for (int s = 0; s < segments.count(); s++) {
            for (int t = 0; t < segments.size(s); t++) {
                positions[segments.first(s) + t] = segments.positionOf(s, t);
            }
        }
        if (weights.positions() == null) {
            for (int row = 0; row < rows; row++) {
                config.rope().cosSin(positions[row], cosSin, row * config.headDim());
            }
        }
    }

    private void layer(int i, int rows, Segments segments) {
        DecoderWeights.Layer layer = weights.layers().get(i);
        norm(layer.attentionNorm(), x, rows, normed);
        linear(layer.qkv(), normed, rows, qkv);
        if (weights.positions() == null) {
            int heads = config.heads() + config.kvHeads();
            kernels.rope(qkv, rows, (heads + config.kvHeads()) * config.headDim(), heads, config.headDim(), cosSin);
        }
        gate(layer, rows);
        kernels.attend(call(i, segments));
        kernels.matmulAdd(layer.out().weight(), layer.out().bias(), mixed, rows, x);
        norm(layer.mlpNorm(), x, rows, normed);
        linear(layer.mlpIn(), normed, rows, inner);
        if (config.architecture() == ModelConfig.Architecture.LLAMA) {
            kernels.siluMul(inner, rows, config.intermediate(), activated);
        } else {
            kernels.gelu(activated, rows * config.intermediate());
        }
        kernels.matmulAdd(layer.mlpOut().weight(), layer.mlpOut().bias(), activated, rows, x);
    }

    private void linear(DecoderWeights.Linear linear, Buffer in, int rows, Buffer out) {
        kernels.matmul(linear.weight(), linear.bias(), in, rows, out);
    }

    private void norm(DecoderWeights.Norm norm, Buffer in, int rows, Buffer out) {
        if (norm.bias() == null) {
            kernels.rmsNorm(in, rows, config.hidden(), norm.weight(), config.normEps(), out);
        } else {
            kernels.layerNorm(in, rows, config.hidden(), norm.weight(), norm.bias(), config.normEps(), out);
        }
    }

    private void gate(DecoderWeights.Layer layer, int rows) {
        DecoderWeights.Gate gate = layer.gate();
        if (gate == null) {
            return;
        }
        Buffer target = Objects.requireNonNull(gates);
        if (gate.second() != null) {
            Buffer low = Objects.requireNonNull(lowRank);
            kernels.matmul(gate.first(), null, normed, rows, low);
            linear(gate.second(), low, rows, target);
            kernels.logSigmoidGate(target, rows * gate.second().weight().n());
        } else {
            kernels.matmul(gate.first(), null, normed, rows, target);
            kernels.deltaGate(
                    target,
                    rows,
                    config.kvHeads(),
                    Objects.requireNonNull(gate.aLog()),
                    Objects.requireNonNull(gate.dtBias()));
        }
    }

    /** The operands of a layer's attention; the same from step to step while the caller reuses its batch. */
    private AttentionCall call(int i, Segments segments) {
        AttentionCall known = calls[i];
        if (known != null && known.segments() == segments) {
            return known;
        }
        DecoderWeights.Layer layer = weights.layers().get(i);
        AttentionCall made = new AttentionCall(
                pool.layout().layers().get(i),
                layer.attention(),
                segments,
                pool.slots(),
                pool.layout().offset(i),
                qkv,
                layer.gate() == null ? null : gates,
                records[i],
                mixed);
        calls[i] = made;
        return made;
    }

    @Override
    public float[] logits() {
        if (unread > 0) {
            hostLogits = kernels.host(logits, unread * config.vocabSize(), hostLogits);
            unread = 0;
        }
        return hostLogits;
    }

    @Override
    public boolean draws() {
        return kernels.draws();
    }

    @Override
    public List<Drawn> draw(List<Draw> draws) {
        return kernels.draw(logits, config.vocabSize(), draws);
    }

    @Override
    public void hidden(int logitRow, float[] out) {
        kernels.read(hidden, (long) logitRow * config.hidden(), out, 0, config.hidden());
    }

    @Override
    public int hiddenSize() {
        return config.hidden();
    }

    @Override
    public void commit(Paths paths) {
        Segments segments = Objects.requireNonNull(last, "commit needs a forward pass before it")
                .segments();
        if (paths.count() != segments.count()) {
            throw new IllegalStateException("Cannot commit: expected a path for each of " + segments.count()
                    + " segments, got " + paths.count());
        }
        accepted = paths;
        kernels.pass(commitPass);
        accepted = null;
        last = null;
    }

    private void runCommit() {
        Segments segments = Objects.requireNonNull(last).segments();
        for (int i = 0; i < weights.layers().size(); i++) {
            kernels.commit(call(i, segments), Objects.requireNonNull(accepted));
        }
    }

    @Override
    public void release(int slot, int tokens) {
        pool.release(slot, tokens);
    }

    @Override
    public String stateName() {
        return stateName;
    }

    @Override
    public int stateFloats(int tokens) {
        return pool.floats(tokens);
    }

    @Override
    public Runnable saveState(int slot, int tokens, float[] out) {
        return pool.save(slot, tokens, out);
    }

    @Override
    public void loadState(int slot, int tokens, float[] values) {
        pool.load(slot, tokens, values);
    }

    @Override
    public int medusaHeads() {
        return weights.medusa().size();
    }

    @Override
    public List<List<Integer>> medusaTree() {
        return config.medusaTree();
    }

    @Override
    public void medusaLogits(float[] states, int rows, float[] out) {
        medusa.logits(states, rows, out);
    }

    @Override
    public int[] medusaTop(float[] states, int rows, int k) {
        return medusa.top(states, rows, k);
    }

    /** What a state slot of this model looks like. */
    public StateLayout layout() {
        return pool.layout();
    }

    @Override
    public void close() {
        kernels.close();
    }
}
