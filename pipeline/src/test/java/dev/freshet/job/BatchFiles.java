package dev.freshet.job;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.model.TestModels;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** Requests and answers of batches for tests. */
final class BatchFiles {

    static final ObjectMapper MAPPER = new ObjectMapper();

    private BatchFiles() {}

    static Path model(Path folder) {
        return TestModels.write(folder.resolve("model"), TestModels.TINY.withKind("relu+"));
    }

    /** A request line whose text is drawn with a seed from its id. */
    static String line(String id, String prompt, int maxTokens) {
        ObjectNode root = MAPPER.createObjectNode();
        root.put("custom_id", id).put("method", "POST").put("url", "/v1/completions");
        root.putObject("body")
                .put("prompt", prompt)
                .put("max_tokens", maxTokens)
                .put("ignore_eos", true);
        return root.toString();
    }

    static Path write(Path file, List<String> lines) throws IOException {
        Files.writeString(file, String.join("\n", lines) + "\n");
        return file;
    }

    static List<JsonNode> answers(Path directory, String name) throws IOException {
        List<JsonNode> all = new ArrayList<>();
        for (String line : Files.readAllLines(directory.resolve(name))) {
            all.add(MAPPER.readTree(line));
        }
        return all;
    }

    /** Every line of both files, without the moment at which the batch began. */
    static Set<String> timeless(Path directory) {
        try {
            Set<String> all = new TreeSet<>();
            for (String name : List.of(BatchOutput.RESULTS, BatchOutput.ERRORS)) {
                for (String line : Files.readAllLines(directory.resolve(name))) {
                    String rest = line.replaceFirst("\"created\":\\d+,", "");
                    if (!all.add(rest)) {
                        throw new IllegalStateException("A line stands twice in " + directory);
                    }
                }
            }
            return all;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
