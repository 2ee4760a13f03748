package dev.freshet.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;

/**
 * The decoder of a tokenizer.json. Decoding is done here and not in the native library because it has to go token by token, at
 * constant cost, to the very text that decoding everything at once would give. Immutable.
 */
final class DecoderSpec {

    private static final int MAX_STEPS = 16;
    private static final int MAX_TEXT = 1000;

    private final List<Supplier<DecodeStage>> steps = new ArrayList<>();
    private boolean fused;

    private DecoderSpec() {}

    /** Reads a decoder; throws ConfigError naming what is not supported. */
    static DecoderSpec read(Path file, JsonNode decoder) {
        DecoderSpec spec = new DecoderSpec();
        if (decoder.isMissingNode() || decoder.isNull()) {
            spec.steps.add(DecodeStages.Join::new);
        } else if (decoder.path("type").asText().equals("Sequence")) {
            JsonFields fields = new JsonFields(file, "decoder", decoder, Set.of("type", "decoders"));
            for (JsonNode step : fields.list("decoders", MAX_STEPS)) {
                spec.add(file, step);
            }
        } else {
            spec.add(file, decoder);
        }
        return spec;
    }

    private void add(Path file, JsonNode node) {
        String type = node.path("type").asText();
        String where = "decoder " + TokenizerError.shown(type);
        switch (type) {
            case "ByteLevel" -> {
                new JsonFields(file, where, node, Set.of("type", "add_prefix_space", "trim_offsets", "use_regex"));
                steps.add(DecodeStages.ByteLevel::new);
                fused = true;
            }
            case "Replace" -> {
                JsonFields fields = new JsonFields(file, where, node, Set.of("type", "pattern", "content"));
                JsonFields pattern = new JsonFields(file, where + " pattern", fields.get("pattern"), Set.of("String"));
                String from = pattern.nonEmpty("String", MAX_TEXT);
                String to = fields.text("content", MAX_TEXT);
                if (fused && from.length() > 1) {
                    throw fields.refuse("one character as pattern after Fuse", TokenizerError.shown(from));
                }
                steps.add(() -> new DecodeStages.Replace(from, to));
            }
            case "ByteFallback" -> {
                JsonFields fields = new JsonFields(file, where, node, Set.of("type"));
                if (fused) {
                    throw fields.refuse("to stand before Fuse", "it after");
                }
                steps.add(DecodeStages.ByteFallback::new);
            }
            case "Fuse" -> {
                new JsonFields(file, where, node, Set.of("type"));
                steps.add(DecodeStages.Fuse::new);
                fused = true;
            }
            case "Strip" -> addStrip(new JsonFields(file, where, node, Set.of("type", "content", "start", "stop")));
            case "Metaspace" ->
                addMetaspace(new JsonFields(
                        file,
                        where,
                        node,
                        Set.of("type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep")));
            default ->
                throw TokenizerError.of(
                        file,
                        "decoder expected to be made of ByteLevel, ByteFallback, Fuse, Metaspace, Replace and Strip, got "
                                + TokenizerError.shown(type),
                        JsonFields.CURE);
        }
    }

    private void addStrip(JsonFields fields) {
        char content = fields.character("content");
        int start = fields.number("start", MAX_TEXT);
        int stop = fields.number("stop", MAX_TEXT);
        if (!fused) {
            steps.add(() -> new DecodeStages.Strip(content, start, stop));
        } else if (stop == 0) {
            steps.add(() -> new DecodeStages.StripFused(content, start));
        } else {
            throw fields.refuse("stop 0 after Fuse", String.valueOf(stop));
        }
    }

    private void addMetaspace(JsonFields fields) {
        char replacement = fields.character("replacement");
        boolean drop = fields.absent("prepend_scheme")
                ? fields.flag("add_prefix_space", true)
                : !fields.oneOf("prepend_scheme", Set.of("always", "first", "never"))
                        .equals("never");
        if (fused) {
            throw fields.refuse("to stand before Fuse", "it after");
        }
        steps.add(() -> new DecodeStages.Metaspace(replacement, drop));
    }

    /** Fresh steps for one sequence. */
    List<DecodeStage> start() {
        List<DecodeStage> stages = new ArrayList<>(steps.size());
        steps.forEach(step -> stages.add(step.get()));
        return stages;
    }
}
