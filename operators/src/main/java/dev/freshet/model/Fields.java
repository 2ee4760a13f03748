package dev.freshet.model;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.request.ConfigError;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * One object of config.json read with types and ranges: a field is absent (or null), right, or refused by name. Nothing is converted
 * or guessed. Immutable.
 */
final class Fields {

    private static final int SHOWN = 80;

    private final Path file;
    private final String prefix;
    private final JsonNode object;

    private Fields(Path file, String prefix, JsonNode object) {
        this.file = file;
        this.prefix = prefix;
        this.object = object;
    }

    /** The fields of the outermost object. */
    static Fields of(Path file, JsonNode object) {
        return new Fields(file, "", object);
    }

    /** A field as it stands, or null when it is absent or null. */
    @Nullable
    JsonNode node(String name) {
        JsonNode node = object.get(name);
        return node == null || node.isNull() ? null : node;
    }

    boolean has(String name) {
        return node(name) != null;
    }

    boolean isEmpty() {
        return object.isEmpty();
    }

    /** A field that is an object, or null when it is absent. */
    @Nullable
    Fields object(String name) {
        JsonNode node = node(name);
        if (node != null && !node.isObject()) {
            throw wrong(name, "an object", node);
        }
        return node == null ? null : new Fields(file, prefix + name + ".", node);
    }

    /** A field that is an array, or null when it is absent. */
    @Nullable
    JsonNode array(String name) {
        JsonNode node = node(name);
        if (node != null && !node.isArray()) {
            throw wrong(name, "a list", node);
        }
        return node;
    }

    /** An element of a list in this object, seen as an object. */
    Fields element(String name, int index, JsonNode node) {
        return new Fields(file, prefix + name + "[" + index + "].", node);
    }

    int whole(String name, int min, int max) {
        JsonNode node = node(name);
        if (node == null
                || !node.isIntegralNumber()
                || !node.canConvertToInt()
                || node.asInt() < min
                || node.asInt() > max) {
            throw wrong(name, "a whole number from " + min + " to " + max, node);
        }
        return node.asInt();
    }

    int wholeOr(String name, int otherwise, int min, int max) {
        return has(name) ? whole(name, min, max) : otherwise;
    }

    /** A finite number that is not negative. */
    double numberOr(String name, double otherwise) {
        JsonNode node = node(name);
        if (node == null) {
            return otherwise;
        }
        if (!node.isNumber() || !Double.isFinite(node.asDouble()) || node.asDouble() < 0) {
            throw wrong(name, "a number, not negative", node);
        }
        return node.asDouble();
    }

    /** A finite number above 0. */
    double positive(String name) {
        JsonNode node = node(name);
        if (node == null || !node.isNumber() || !Double.isFinite(node.asDouble()) || node.asDouble() <= 0) {
            throw wrong(name, "a positive number", node);
        }
        return node.asDouble();
    }

    double positiveOr(String name, double otherwise) {
        return has(name) ? positive(name) : otherwise;
    }

    boolean flagOr(String name, boolean otherwise) {
        JsonNode node = node(name);
        if (node != null && !node.isBoolean()) {
            throw wrong(name, "true or false", node);
        }
        return node == null ? otherwise : node.asBoolean();
    }

    String text(String name, String expected) {
        JsonNode node = node(name);
        if (node == null || !node.isTextual()) {
            throw wrong(name, expected, node);
        }
        return node.asText();
    }

    String textOr(String name, String otherwise) {
        return has(name) ? text(name, "a text") : otherwise;
    }

    /** Refuses a field: what was expected, and what stands there; null stands for an absent field. */
    ConfigError wrong(String name, String expected, @Nullable Object got) {
        String shown = got == null ? "none" : got.toString();
        shown = shown.length() > SHOWN ? shown.substring(0, SHOWN) + "..." : shown;
        return new ConfigError("Cannot load the model: " + prefix + name + " expected " + expected + ", got " + shown
                + " (" + file + "). Check the model directory.");
    }
}
