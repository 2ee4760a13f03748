package dev.freshet.wire;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.jspecify.annotations.Nullable;

/** Writes fields so that the result is JSON: whole characters and finite numbers. */
final class JsonOut {

    private JsonOut() {}

    static void put(ObjectNode node, String name, @Nullable String value) {
        if (value != null) {
            node.put(name, Utf8Text.repaired(value));
        }
    }

    static void put(ObjectNode node, String name, @Nullable Integer value) {
        if (value != null) {
            node.put(name, value);
        }
    }

    static void put(ObjectNode node, String name, @Nullable Long value) {
        if (value != null) {
            node.put(name, value);
        }
    }

    /** Leaves the field out when the number is not finite, for which JSON has no form. */
    static void put(ObjectNode node, String name, @Nullable Double value) {
        if (value != null && Double.isFinite(value)) {
            node.put(name, value);
        }
    }

    static void putUnless(ObjectNode node, String name, boolean value, boolean usual) {
        if (value != usual) {
            node.put(name, value);
        }
    }

    /** Writes a value, or an explicit null where readers expect the field. */
    static void putOrNull(ObjectNode node, String name, @Nullable String value) {
        node.put(name, value == null ? null : Utf8Text.repaired(value));
    }

    /** Writes a stop reason, which is a string or a token id. */
    static void putStopReason(ObjectNode node, @Nullable Object reason) {
        if (reason instanceof Integer token) {
            node.put("stop_reason", token);
        } else {
            putOrNull(node, "stop_reason", (String) reason);
        }
    }

    static void add(ArrayNode array, String value) {
        array.add(Utf8Text.repaired(value));
    }
}
