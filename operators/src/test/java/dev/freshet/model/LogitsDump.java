package dev.freshet.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.tensor.DType;
import dev.freshet.tensor.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/**
 * Writes the logits of model directories for comparison with another implementation: reads the token ids in ids.json of each
 * directory and writes logits.safetensors [tokens, V] beside it. Arguments: name of the kernels, then directories.
 */
public final class LogitsDump {

    private LogitsDump() {}

    /** Runs every directory. */
    public static void main(String[] args) throws IOException {
        for (int i = 1; i < args.length; i++) {
            Path directory = Path.of(args[i]);
            JsonNode ids = new ObjectMapper().readTree(Files.readAllBytes(directory.resolve("ids.json")));
            int[] tokens = new int[ids.size()];
            Arrays.setAll(tokens, t -> ids.get(t).asInt());
            try (ModelDirectory model = ModelDirectory.open(directory)) {
                int vocab = model.config().vocabSize();
                float[] logits = logits(model, args[0], tokens);
                SafetensorsWriter.write(
                        directory.resolve("logits.safetensors"),
                        Map.of("logits", SafetensorsWriter.Tensor.of(logits, tokens.length, vocab)),
                        DType.F32);
            }
        }
    }

    /** Logits [tokens, V] of a sequence, all rows in one forward pass. */
    static float[] logits(ModelDirectory directory, String kernels, int[] tokens) {
        int n = tokens.length;
        int[] parents = new int[n];
        Arrays.setAll(parents, t -> t - 1);
        DecoderOptions options = new DecoderOptions(1, n, n, 0, null);
        try (Decoder model = Decoder.load(directory, KernelsProvider.select(kernels, 1), options)) {
            Batch batch = new Batch(1, n, n);
            batch.addTree(0, 0, tokens, parents);
            model.forward(batch);
            return Arrays.copyOf(model.logits(), n * model.vocabSize());
        }
    }
}
