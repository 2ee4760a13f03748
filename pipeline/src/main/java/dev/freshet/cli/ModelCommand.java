package dev.freshet.cli;

import dev.freshet.attention.LayerAttention;
import dev.freshet.attention.StateLayout;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.MemoryEstimate;
import dev.freshet.model.ModelConfig;
import dev.freshet.model.ModelDirectory;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Says what a model directory holds. */
@Command(name = "model", description = "Says what a model directory holds: shapes, attention, memory, fingerprint.")
final class ModelCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Parameters(paramLabel = "DIR", arity = "0..1", description = "Model directory in Hugging Face layout.")
    private @Nullable Path directory;

    @Option(
            names = "--context",
            paramLabel = "N",
            defaultValue = "0",
            description = "Context for which bytes are counted.")
    private int context;

    @Option(
            names = "--slots",
            paramLabel = "N",
            defaultValue = "8",
            description = "Sequences for which memory is counted. Default: 8.")
    private int slots;

    @Option(
            names = "--weights",
            paramLabel = "FORMAT",
            description = "Format for which memory is counted: f32, bf16 or int8. Default: as in the file.")
    private @Nullable WeightFormat weights;

    ModelCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        Path path = directory == null ? new ModelOption().directory() : directory;
        try (ModelDirectory model = ModelDirectory.open(path)) {
            describe(model).forEach((name, value) -> terminal.out().printf("%-18s %s%n", name, value));
        }
        return 0;
    }

    private Map<String, String> describe(ModelDirectory model) {
        ModelConfig c = model.config();
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("directory", model.path().toString());
        lines.put("architecture", c.architecture().name().toLowerCase(Locale.ROOT));
        lines.put("layers", String.valueOf(c.layers().size()));
        lines.put(
                "shapes",
                "hidden %d, heads %d, kv heads %d, head dim %d, mlp %d"
                        .formatted(c.hidden(), c.heads(), c.kvHeads(), c.headDim(), c.intermediate()));
        lines.put("vocabulary", c.vocabSize() + (c.tied() ? ", output tied to the embedding" : ""));
        lines.put("attention", attention(c));
        lines.put("medusa heads", String.valueOf(c.medusaHeads()));
        int length = context > 0 ? Math.min(context, c.contextLength()) : c.contextLength();
        lines.put("context", length == Integer.MAX_VALUE ? "unbounded" : length + " tokens");
        long bytes = new StateLayout(c.specs(length)).bytes();
        lines.put(
                "bytes per slot",
                "%,d".formatted(bytes) + (c.constantState() ? ", whatever the length" : ", for that context"));
        lines.put("memory", memory(model));
        lines.put("end tokens", model.endTokens().stream().sorted().toList().toString());
        lines.put(
                "weights",
                "%,d tensors, %,d values".formatted(model.weights().names().size(), values(model)));
        lines.put("fingerprint", model.fingerprint());
        return lines;
    }

    private String memory(ModelDirectory model) {
        DecoderOptions options = DecoderOptions.of(slots).withContext(context).withWeights(weights);
        MemoryEstimate estimate = MemoryEstimate.of(model.config(), model.weights(), options);
        long rest = estimate.peak() - estimate.weights() - estimate.slots();
        return "at most %,d MiB: weights %,d, %d slots %,d, everything else %,d"
                .formatted(
                        mebibytes(estimate.peak()),
                        mebibytes(estimate.weights()),
                        slots,
                        mebibytes(estimate.slots()),
                        mebibytes(rest));
    }

    private static long mebibytes(long bytes) {
        return (bytes + (1 << 20) - 1) >> 20;
    }

    private static long values(ModelDirectory model) {
        long sum = 0;
        for (String name : model.weights().names()) {
            sum += model.weights().info(name).elements();
        }
        return sum;
    }

    private static String attention(ModelConfig config) {
        Map<String, Integer> counts = new LinkedHashMap<>();
        for (LayerAttention layer : config.layers()) {
            counts.merge(layer.kind().id(), 1, Integer::sum);
        }
        StringBuilder text = new StringBuilder();
        counts.forEach((kind, layers) -> text.append(text.isEmpty() ? "" : ", ")
                .append(kind)
                .append(" in ")
                .append(layers));
        return text.append(" layers").toString();
    }
}
