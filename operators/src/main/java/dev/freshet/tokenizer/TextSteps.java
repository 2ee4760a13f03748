package dev.freshet.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.nio.file.Path;
import java.util.Set;

/**
 * Checks the normalizer and the pre-tokenizer of a tokenizer.json before the native library sees them: kinds and fields that are
 * known to be safe with it, and nothing else.
 */
final class TextSteps {

    private static final int MAX_DEPTH = 4;
    private static final int MAX_STEPS = 32;
    private static final int MAX_TEXT = 2000;
    private static final Set<String> BEHAVIOURS =
            Set.of("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous");

    private TextSteps() {}

    /** Returns the normalizer for the native half; throws ConfigError naming what is not supported. */
    static JsonNode normalizer(Path file, JsonNode node) {
        if (node.isMissingNode() || node.isNull()) {
            return JsonNodeFactory.instance.nullNode();
        }
        checkNormalizer(file, node, MAX_DEPTH);
        return node;
    }

    private static void checkNormalizer(Path file, JsonNode node, int depth) {
        String type = node.path("type").asText();
        String where = "normalizer " + TokenizerError.shown(type);
        switch (type) {
            case "Sequence" -> {
                JsonFields fields = new JsonFields(file, where, node, Set.of("type", "normalizers"));
                if (depth == 0) {
                    throw fields.refuse("at most " + MAX_DEPTH + " levels", "more");
                }
                fields.list("normalizers", MAX_STEPS).forEach(step -> checkNormalizer(file, step, depth - 1));
            }
            case "Prepend" ->
                new JsonFields(file, where, node, Set.of("type", "prepend")).nonEmpty("prepend", MAX_TEXT);
            case "Replace" -> {
                JsonFields fields = new JsonFields(file, where, node, Set.of("type", "pattern", "content"));
                checkPattern(file, where, fields.get("pattern"));
                fields.text("content", MAX_TEXT);
            }
            case "Strip" -> {
                JsonFields fields = new JsonFields(file, where, node, Set.of("type", "strip_left", "strip_right"));
                fields.flag("strip_left", true);
                fields.flag("strip_right", true);
            }
            case "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents" ->
                new JsonFields(file, where, node, Set.of("type"));
            default ->
                throw TokenizerError.of(
                        file,
                        "normalizer expected to be made of Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip and"
                                + " StripAccents, got " + TokenizerError.shown(type),
                        JsonFields.CURE);
        }
    }

    /** Returns the pre-tokenizer for the native half; throws ConfigError naming what is not supported. */
    static JsonNode preTokenizer(Path file, JsonNode node) {
        if (node.isMissingNode() || node.isNull()) {
            return JsonNodeFactory.instance.nullNode();
        }
        checkPreTokenizer(file, node, MAX_DEPTH);
        return node;
    }

    private static void checkPreTokenizer(Path file, JsonNode node, int depth) {
        String type = node.path("type").asText();
        String where = "pre_tokenizer " + TokenizerError.shown(type);
        switch (type) {
            case "Sequence" -> {
                JsonFields fields = new JsonFields(file, where, node, Set.of("type", "pretokenizers"));
                if (depth == 0) {
                    throw fields.refuse("at most " + MAX_DEPTH + " levels", "more");
                }
                fields.list("pretokenizers", MAX_STEPS).forEach(step -> checkPreTokenizer(file, step, depth - 1));
            }
            case "ByteLevel" -> {
                JsonFields fields = new JsonFields(
                        file, where, node, Set.of("type", "add_prefix_space", "trim_offsets", "use_regex"));
                fields.flag("add_prefix_space", true);
                fields.flag("trim_offsets", true);
                fields.flag("use_regex", true);
            }
            case "Split" -> {
                JsonFields fields = new JsonFields(file, where, node, Set.of("type", "pattern", "behavior", "invert"));
                checkPattern(file, where, fields.get("pattern"));
                fields.oneOf("behavior", BEHAVIOURS);
                fields.flag("invert", false);
            }
            case "Metaspace" -> {
                JsonFields fields = new JsonFields(
                        file,
                        where,
                        node,
                        Set.of("type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"));
                fields.character("replacement");
                fields.flag("add_prefix_space", true);
                fields.flag("split", true);
                if (!fields.absent("prepend_scheme")) {
                    fields.oneOf("prepend_scheme", Set.of("always", "first", "never"));
                }
            }
            case "Digits" ->
                new JsonFields(file, where, node, Set.of("type", "individual_digits")).flag("individual_digits", false);
            case "Punctuation" -> {
                JsonFields fields = new JsonFields(file, where, node, Set.of("type", "behavior"));
                if (!fields.absent("behavior")) {
                    fields.oneOf("behavior", BEHAVIOURS);
                }
            }
            case "Whitespace", "WhitespaceSplit" -> new JsonFields(file, where, node, Set.of("type"));
            default ->
                throw TokenizerError.of(
                        file,
                        "pre_tokenizer expected to be made of ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace and"
                                + " WhitespaceSplit, got " + TokenizerError.shown(type),
                        JsonFields.CURE);
        }
    }

    private static void checkPattern(Path file, String where, JsonNode node) {
        JsonFields fields = new JsonFields(file, where + " pattern", node, Set.of("String", "Regex"));
        if (node.size() != 1) {
            throw fields.refuse("String or Regex", TokenizerError.shown(node));
        }
        fields.nonEmpty(node.has("String") ? "String" : "Regex", MAX_TEXT);
    }
}
