package dev.freshet.job;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the lines of an output directory depend on. It is written before the first line, and a run that would add lines of another
 * kind is refused. Immutable.
 *
 * @param created when the batch began, epoch seconds; all of its answers carry it
 * @param source name of the input file, part of ids and seeds of requests without an id
 * @param lines lines of the input
 * @param facts everything else that decides the output, by name
 */
record BatchManifest(long created, String source, long lines, Map<String, String> facts) {

    static final String FILE = "manifest.json";

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int FORMAT = 1;

    BatchManifest {
        facts = Map.copyOf(facts);
    }

    /** Hash and number of lines of an input file. */
    record Input(String sha256, long lines) {

        /** Reads a file from one end to the other. */
        static Input of(Path file) throws IOException {
            try (InputStream in = Files.newInputStream(file)) {
                MessageDigest digest = MessageDigest.getInstance("SHA-256");
                byte[] chunk = new byte[1 << 16];
                long lines = 0;
                int last = '\n';
                for (int n = in.read(chunk); n >= 0; n = in.read(chunk)) {
                    digest.update(chunk, 0, n);
                    for (int i = 0; i < n; i++) {
                        lines += chunk[i] == '\n' ? 1 : 0;
                    }
                    last = n > 0 ? chunk[n - 1] : last;
                }
                return new Input(HexFormat.of().formatHex(digest.digest()), lines + (last == '\n' ? 0 : 1));
            } catch (NoSuchAlgorithmException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /**
     * Returns the manifest of a directory, which is this one if it has none.
     *
     * @throws ConfigError when the directory belongs to another batch
     */
    BatchManifest claim(Path directory) throws IOException {
        Path file = directory.resolve(FILE);
        if (!Files.exists(file)) {
            write(file);
            return this;
        }
        BatchManifest old = read(file);
        for (Map.Entry<String, String> fact : facts.entrySet()) {
            String before = old.facts.getOrDefault(fact.getKey(), "nothing");
            if (!before.equals(fact.getValue())) {
                throw new ConfigError("Cannot resume the batch: expected " + fact.getKey() + " " + before + " as at its"
                        + " start, got " + fact.getValue() + " (" + file + "). Use that again, or another --output.");
            }
        }
        return old;
    }

    private static BatchManifest read(Path file) throws IOException {
        JsonNode root;
        try {
            root = MAPPER.readTree(file.toFile());
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw foreign(file);
        }
        if (root.path("format").asInt() != FORMAT || !root.path("facts").isObject()) {
            throw foreign(file);
        }
        Map<String, String> facts = new LinkedHashMap<>();
        root.get("facts")
                .properties()
                .forEach(e -> facts.put(e.getKey(), e.getValue().asText()));
        return new BatchManifest(
                root.path("created").asLong(),
                root.path("source").asText(),
                root.path("lines").asLong(),
                facts);
    }

    private static ConfigError foreign(Path file) {
        return new ConfigError("Cannot resume the batch: expected a manifest of format " + FORMAT
                + ", got something else (" + file + "). Use another --output.");
    }

    /** Writes the file whole or not at all. */
    private void write(Path file) throws IOException {
        ObjectNode root = MAPPER.createObjectNode();
        root.put("format", FORMAT).put("created", created).put("source", source).put("lines", lines);
        ObjectNode node = root.putObject("facts");
        facts.entrySet().stream().sorted(Map.Entry.comparingByKey()).forEach(e -> node.put(e.getKey(), e.getValue()));
        Path part = file.resolveSibling(FILE + ".part");
        byte[] bytes = MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(root);
        try (FileChannel channel = FileChannel.open(
                part, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
            channel.force(true);
        }
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
}
