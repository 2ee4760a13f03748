package dev.freshet.operator;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.kernel.WeightFormat;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.request.ConfigError;
import dev.freshet.tokenizer.ChatFormat;
import dev.freshet.tokenizer.Tokenizer;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads a model directory. Immutable.
 *
 * @param directory path of the model directory
 * @param kernels name of the backend, or auto
 * @param threads threads of the backend, 0 for one per core
 * @param context longest sequence where the model has a limit, 0 for the model's own
 * @param weights format in memory, or null for the file's own
 * @param chatFormat id of the chat format of conversations that name none
 */
public record DirectoryModel(
        String directory, String kernels, int threads, int context, @Nullable WeightFormat weights, String chatFormat)
        implements ModelLoader {

    private static final Logger LOG = LoggerFactory.getLogger(DirectoryModel.class);
    private static final double MEBIBYTE = 1 << 20;

    @Override
    public ServedModel load(int slots) {
        Path path = Path.of(directory);
        try (ModelDirectory model = ModelDirectory.open(path)) {
            Tokenizer tokenizer = Tokenizer.load(path);
            Kernels backend = KernelsProvider.select(kernels, threads > 0 ? threads : cores());
            Decoder decoder = Decoder.load(
                    model,
                    backend,
                    DecoderOptions.of(slots).withContext(context).withWeights(weights));
            if (tokenizer.vocabSize() > decoder.vocabSize()) {
                throw new ConfigError("Cannot serve the model: expected a tokenizer of at most " + decoder.vocabSize()
                        + " tokens, as many as the model has logits, got " + tokenizer.vocabSize() + " (" + path
                        + "). Put the tokenizer.json of this model into the directory.");
            }
            LOG.info(
                    "Serving {} with {}: {} slots of {} MiB",
                    path,
                    backend.describe(),
                    slots,
                    "%.1f".formatted(decoder.bytesPerSlot() / MEBIBYTE));
            return new ServedModel(
                    decoder,
                    new TokenizerTexts(tokenizer, model.endTokens(), ChatFormat.require(chatFormat, tokenizer)),
                    model.endTokens(),
                    name(path),
                    model.fingerprint(),
                    backend.name(),
                    () -> {
                        backend.close();
                        tokenizer.close();
                    });
        }
    }

    private static int cores() {
        return Runtime.getRuntime().availableProcessors();
    }

    /** Name of the model that requests and answers use: that of its directory. */
    public String name() {
        return name(Path.of(directory));
    }

    static String name(Path path) {
        Path last = path.toAbsolutePath().normalize().getFileName();
        return last == null ? "model" : last.toString();
    }
}
