package dev.freshet.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.wire.JsonText.Bad;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Typed access to one JSON object. A missing field and an explicit null are the same; a field of another type is refused with
 * its name, and never converted in a way that loses something.
 */
final class JsonFields {

    private static final int MAX_SHOWN_NAME = 64;

    private final ObjectNode object;
    private final Set<String> seen = new HashSet<>();

    JsonFields(ObjectNode object) {
        this.object = object;
    }

    /** Returns the node, or null when it is missing or null. */
    @Nullable
    JsonNode node(String name) {
        seen.add(name);
        JsonNode value = object.get(name);
        return value == null || value.isNull() ? null : value;
    }

    @Nullable
    String text(String name) throws Bad {
        JsonNode value = node(name);
        return value == null ? null : textOf(value, name);
    }

    String text(String name, String otherwise) throws Bad {
        String value = text(name);
        return value == null ? otherwise : value;
    }

    boolean flag(String name, boolean otherwise) throws Bad {
        JsonNode value = node(name);
        if (value == null) {
            return otherwise;
        }
        if (!value.isBoolean()) {
            throw wrong(name, "true or false", value);
        }
        return value.booleanValue();
    }

    @Nullable
    Long integer(String name) throws Bad {
        JsonNode value = node(name);
        return value == null ? null : integerOf(value, name);
    }

    long integer(String name, long otherwise) throws Bad {
        Long value = integer(name);
        return value == null ? otherwise : value;
    }

    @Nullable
    Integer int32(String name) throws Bad {
        JsonNode value = node(name);
        return value == null ? null : int32Of(value, name);
    }

    @Nullable
    Double number(String name) throws Bad {
        JsonNode value = node(name);
        return value == null ? null : numberOf(value, name);
    }

    double number(String name, double otherwise) throws Bad {
        Double value = number(name);
        return value == null ? otherwise : value;
    }

    @Nullable
    JsonFields object(String name) throws Bad {
        JsonNode value = node(name);
        if (value == null) {
            return null;
        }
        if (!(value instanceof ObjectNode child)) {
            throw wrong(name, "an object", value);
        }
        return new JsonFields(child);
    }

    /** Returns the elements, or null when the field is missing. */
    @Nullable
    List<JsonNode> list(String name) throws Bad {
        JsonNode value = node(name);
        if (value == null) {
            return null;
        }
        return elements(value, name);
    }

    @Nullable
    List<Integer> int32s(String name) throws Bad {
        JsonNode value = node(name);
        return value == null ? null : int32sOf(value, name);
    }

    /** Marks fields as known without reading them. */
    void ignore(Iterable<String> names) {
        names.forEach(seen::add);
    }

    /** Refuses the first field that was neither read nor ignored. */
    void requireNoOther() throws Bad {
        for (Iterator<String> names = object.fieldNames(); names.hasNext(); ) {
            String name = names.next();
            if (!seen.contains(name)) {
                throw new Bad(
                        WireCodes.INVALID_PARAM,
                        shown(name),
                        "expected only known fields, got " + shown(name) + ". Remove it, or turn strict mode off.");
            }
        }
    }

    static List<JsonNode> elements(JsonNode value, String name) throws Bad {
        if (!value.isArray()) {
            throw wrong(name, "a list", value);
        }
        List<JsonNode> all = new ArrayList<>(value.size());
        value.forEach(all::add);
        return all;
    }

    static List<Integer> int32sOf(JsonNode value, String name) throws Bad {
        List<JsonNode> nodes = elements(value, name);
        List<Integer> all = new ArrayList<>(nodes.size());
        for (JsonNode node : nodes) {
            all.add(int32Of(node, name));
        }
        return all;
    }

    static String textOf(JsonNode value, String name) throws Bad {
        if (!value.isTextual()) {
            throw wrong(name, "a string", value);
        }
        String text = value.textValue();
        if (!Utf8Text.wellFormed(text)) {
            throw new Bad(
                    WireCodes.INVALID_UTF8,
                    name,
                    "expected whole Unicode characters in " + name + ", got half of a surrogate pair. Escape characters"
                            + " beyond U+FFFF as pairs.");
        }
        return text;
    }

    static long integerOf(JsonNode value, String name) throws Bad {
        if (value.isIntegralNumber()) {
            if (!value.canConvertToLong()) {
                throw new Bad(
                        WireCodes.INVALID_PARAM,
                        name,
                        "expected " + name + " within 64 bits, got a larger number. Send a smaller number.");
            }
            return value.longValue();
        }
        // 16.0 is what some languages write for 16; beyond 2^53 such a number is no longer exact.
        if (value.isNumber()
                && value.doubleValue() == Math.rint(value.doubleValue())
                && Math.abs(value.doubleValue()) <= 0x1p53) {
            return (long) value.doubleValue();
        }
        throw wrong(name, "a whole number", value);
    }

    static int int32Of(JsonNode value, String name) throws Bad {
        long wide = integerOf(value, name);
        if (wide != (int) wide) {
            throw new Bad(
                    WireCodes.INVALID_PARAM,
                    name,
                    "expected " + name + " within 32 bits, got a larger number. Send a smaller number.");
        }
        return (int) wide;
    }

    static double numberOf(JsonNode value, String name) throws Bad {
        if (!value.isNumber()) {
            throw wrong(name, "a number", value);
        }
        return value.doubleValue();
    }

    /** The refusal of a value of another type. */
    static Bad wrong(String name, String expected, JsonNode got) {
        String kind = got.getNodeType().name().toLowerCase(Locale.ROOT);
        String what = got.isNumber() && expected.startsWith("a whole") ? "a fraction" : kind;
        return new Bad(
                WireCodes.INVALID_PARAM,
                name,
                "expected " + name + " to be " + expected + ", got " + what + ". Correct the field.");
    }

    /** Field names come from outside; only plain ones are repeated. */
    private static String shown(String name) {
        boolean plain = name.length() <= MAX_SHOWN_NAME
                && !name.isEmpty()
                && name.chars()
                        .allMatch(c -> c == '_' || c == '-' || c == '.' || (c < 128 && Character.isLetterOrDigit(c)));
        return plain ? name : "a field of another kind of name";
    }
}
