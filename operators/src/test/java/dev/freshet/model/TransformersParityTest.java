package dev.freshet.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.kernel.Tolerances;
import dev.freshet.tensor.SafetensorsFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Logits that Hugging Face transformers computed for a random Llama with grouped-query attention, tied heads, attention biases, a
 * head size of its own and each rope scaling; written by training/parity/check.py.
 */
final class TransformersParityTest {

    @TempDir
    Path folder;

    static List<Arguments> models() throws IOException {
        List<Arguments> out = new ArrayList<>();
        for (JsonNode name : index().get("models")) {
            out.add(Arguments.of(name.asText(), "reference"));
            out.add(Arguments.of(name.asText(), "vector"));
        }
        return out;
    }

    @ParameterizedTest
    @MethodSource("models")
    void logitsEqualThoseOfTransformers(String name, String kernels) throws IOException {
        copy(name + ".json", "config.json");
        copy("model.safetensors", "model.safetensors");
        copy("expected.safetensors", "expected.bin");
        int[] ids = ints(index().get("ids"));
        int[] rows = ints(index().get("rows"));
        try (ModelDirectory model = ModelDirectory.open(folder);
                SafetensorsFile expected = SafetensorsFile.open(folder.resolve("expected.bin"))) {
            int vocab = model.config().vocabSize();
            float[] want = expected.floats(name, rows.length, vocab);
            float[] got = LogitsDump.logits(model, kernels, ids);
            for (int r = 0; r < rows.length; r++) {
                for (int v = 0; v < vocab; v++) {
                    Tolerances.LOGITS.check(
                            got[rows[r] * vocab + v],
                            want[r * vocab + v],
                            name + " on " + kernels + ", row " + rows[r] + ", logit " + v);
                }
            }
        }
    }

    private static JsonNode index() throws IOException {
        try (InputStream in = resource("index.json")) {
            return new ObjectMapper().readTree(in);
        }
    }

    private static InputStream resource(String name) {
        return Objects.requireNonNull(
                TransformersParityTest.class.getResourceAsStream("/golden-transformers/" + name), name);
    }

    private void copy(String name, String as) throws IOException {
        try (InputStream in = resource(name)) {
            Files.copy(in, folder.resolve(as));
        }
    }

    private static int[] ints(JsonNode array) {
        int[] out = new int[array.size()];
        Arrays.setAll(out, i -> array.get(i).asInt());
        return out;
    }
}
