package dev.freshet.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.request.ConfigError;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * The token ids that a post-processor puts around a text, for example the begin-of-sequence token. Immutable.
 *
 * @param before ids in front
 * @param after ids behind
 */
record Template(int[] before, int[] after) {

    private static final int MAX_PARTS = 64;
    private static final Template NOTHING = new Template(new int[0], new int[0]);

    /** Reads a post-processor; throws ConfigError naming what is not supported. */
    static Template read(Path file, JsonNode node, int vocabSize) {
        if (node.isMissingNode() || node.isNull()) {
            return NOTHING;
        }
        String type = node.path("type").asText();
        switch (type) {
            case "ByteLevel":
                // It corrects offsets alone.
                return NOTHING;
            case "TemplateProcessing":
                return template(file, node, vocabSize);
            case "BertProcessing", "RobertaProcessing":
                return new Template(
                        new int[] {id(file, node.path("cls").path(1), vocabSize)},
                        new int[] {id(file, node.path("sep").path(1), vocabSize)});
            case "Sequence":
                Template result = NOTHING;
                JsonFields fields = new JsonFields(file, "post_processor", node, Set.of("type", "processors"));
                for (JsonNode step : fields.list("processors", MAX_PARTS)) {
                    Template next = read(file, step, vocabSize);
                    result = new Template(join(next.before, result.before), join(result.after, next.after));
                }
                return result;
            default:
                throw unsupported(file, TokenizerError.shown(type));
        }
    }

    private static Template template(Path file, JsonNode node, int vocabSize) {
        JsonFields fields =
                new JsonFields(file, "post_processor", node, Set.of("type", "single", "pair", "special_tokens"));
        int[] before = {};
        int[] after = {};
        int sequences = 0;
        for (JsonNode part : fields.list("single", MAX_PARTS)) {
            if (part.has("Sequence")) {
                sequences++;
                continue;
            }
            String name = part.path("SpecialToken").path("id").asText("");
            JsonNode list = node.path("special_tokens").path(name).path("ids");
            if (!list.isArray() || list.size() > MAX_PARTS) {
                throw unsupported(file, "a template part " + TokenizerError.shown(part));
            }
            int[] ids = IntStream.range(0, list.size())
                    .map(i -> id(file, list.get(i), vocabSize))
                    .toArray();
            if (sequences == 0) {
                before = join(before, ids);
            } else {
                after = join(after, ids);
            }
        }
        if (sequences != 1) {
            throw unsupported(file, "a template with " + sequences + " places for the text");
        }
        return new Template(before, after);
    }

    private static int id(Path file, JsonNode value, int vocabSize) {
        if (!value.isIntegralNumber()
                || !value.canConvertToInt()
                || value.intValue() < 0
                || value.intValue() >= vocabSize) {
            throw unsupported(file, "the id " + TokenizerError.shown(value));
        }
        return value.intValue();
    }

    private static ConfigError unsupported(Path file, String got) {
        return TokenizerError.of(
                file,
                "post_processor expected to be TemplateProcessing, ByteLevel, BertProcessing or RobertaProcessing with ids of"
                        + " the vocabulary, got " + got,
                JsonFields.CURE);
    }

    private static int[] join(int[] a, int[] b) {
        return IntStream.concat(IntStream.of(a), IntStream.of(b)).toArray();
    }

    /** The ids with the template's around them. */
    int[] around(int[] ids) {
        return before.length + after.length == 0 ? ids : join(join(before, ids), after);
    }
}
