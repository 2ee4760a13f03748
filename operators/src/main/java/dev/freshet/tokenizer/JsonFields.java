package dev.freshet.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.request.ConfigError;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Set;
import java.util.TreeSet;

/** Reads one object of tokenizer.json strictly: every field is known, of its type and in its range. */
final class JsonFields {

    static final String CURE =
            "Use the tokenizer.json that belongs to the model, of a Llama- or GPT-2-style tokenizer.";

    private final Path file;
    private final String where;
    private final JsonNode node;

    /**
     * Opens an object.
     *
     * @param where name of the object in messages
     * @param known names that it may have
     */
    JsonFields(Path file, String where, JsonNode node, Set<String> known) {
        this.file = file;
        this.where = where;
        this.node = node;
        if (!node.isObject()) {
            throw refuse("an object", TokenizerError.shown(node));
        }
        for (Iterator<String> names = node.fieldNames(); names.hasNext(); ) {
            String name = names.next();
            if (!known.contains(name)) {
                throw refuse("the fields " + String.join(", ", new TreeSet<>(known)), TokenizerError.shown(name));
            }
        }
    }

    ConfigError refuse(String expected, String got) {
        return TokenizerError.of(file, where + " expected " + expected + ", got " + got, CURE);
    }

    JsonNode get(String name) {
        return node.path(name);
    }

    boolean absent(String name) {
        return node.path(name).isMissingNode() || node.path(name).isNull();
    }

    boolean flag(String name, boolean fallback) {
        if (absent(name)) {
            return fallback;
        }
        if (!node.get(name).isBoolean()) {
            throw refuse(name + " as true or false", TokenizerError.shown(node.get(name)));
        }
        return node.get(name).booleanValue();
    }

    int number(String name, int most) {
        JsonNode value = node.path(name);
        if (!value.isIntegralNumber() || !value.canConvertToInt() || value.intValue() < 0 || value.intValue() > most) {
            throw refuse(name + " in [0, " + most + "]", TokenizerError.shown(value));
        }
        return value.intValue();
    }

    String text(String name, int most) {
        JsonNode value = node.path(name);
        if (!value.isTextual() || value.textValue().length() > most) {
            throw refuse(name + " as a string of at most " + most + " characters", TokenizerError.shown(value));
        }
        return value.textValue();
    }

    String nonEmpty(String name, int most) {
        String value = text(name, most);
        if (value.isEmpty()) {
            throw refuse(name + " not to be empty", "an empty string");
        }
        return value;
    }

    char character(String name) {
        String value = text(name, 2);
        if (value.length() != 1 || Character.isSurrogate(value.charAt(0))) {
            throw refuse(name + " as one character", TokenizerError.shown(node.get(name)));
        }
        return value.charAt(0);
    }

    String oneOf(String name, Set<String> allowed) {
        String value = text(name, 100);
        if (!allowed.contains(value)) {
            throw refuse(name + " as one of " + new TreeSet<>(allowed), TokenizerError.shown(value));
        }
        return value;
    }

    Iterable<JsonNode> list(String name, int most) {
        JsonNode value = node.path(name);
        if (!value.isArray() || value.size() > most) {
            throw refuse(name + " as a list of at most " + most, TokenizerError.shown(value));
        }
        return value;
    }
}
