package dev.freshet.wire;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.jspecify.annotations.Nullable;

/** Bounded, strict JSON: one value, no repeated names, no NaN, limited depth, size and number of tokens. */
final class JsonText {

    private static final int MAX_DEPTH = 128;
    private static final int MAX_TOKENS = 1 << 18;
    private static final int MAX_NAME = 1024;
    private static final int MAX_NUMBER = 64;

    /** Immutable once built; shared by all codecs. */
    static final ObjectMapper MAPPER = mapper();

    private JsonText() {}

    private static ObjectMapper mapper() {
        JsonFactory factory = JsonFactory.builder()
                .streamReadConstraints(StreamReadConstraints.builder()
                        .maxNestingDepth(MAX_DEPTH)
                        .maxNumberLength(MAX_NUMBER)
                        .maxNameLength(MAX_NAME)
                        .maxTokenCount(MAX_TOKENS)
                        .build())
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                // Names come from outside; keeping them in a table that lives on would let a producer fill it.
                .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                // Characters beyond U+FFFF as themselves, not as escaped pairs.
                .enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
                .build();
        return JsonMapper.builder(factory)
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .build();
    }

    /** An unusable JSON record. The message holds reason and cure and never quotes the record. */
    static final class Bad extends Exception {
        private static final long serialVersionUID = 1L;

        private final String code;
        private final @Nullable String field;

        Bad(String code, @Nullable String field, String message) {
            super(message);
            this.code = code;
            this.field = field;
        }

        String code() {
            return code;
        }

        @Nullable
        String field() {
            return field;
        }
    }

    /** Parses the bytes as one JSON object. */
    static ObjectNode object(byte[] bytes) throws Bad {
        String text = Utf8Text.decode(bytes, 0, bytes.length);
        if (text == null) {
            throw new Bad(
                    WireCodes.INVALID_UTF8, null, "expected well-formed UTF-8, got damaged text. Send text as UTF-8.");
        }
        // RFC 8259 lets a reader ignore a byte order mark.
        if (text.startsWith("\uFEFF")) {
            text = text.substring(1);
        }
        JsonNode tree;
        try {
            tree = MAPPER.readTree(text);
        } catch (JsonProcessingException e) {
            // Jackson's own message quotes the text around the error.
            throw new Bad(
                    WireCodes.BAD_JSON,
                    null,
                    "expected one JSON object, got other text (" + where(e)
                            + "). Send one line of an OpenAI batch file, or its body.");
        }
        if (!(tree instanceof ObjectNode object)) {
            throw new Bad(
                    WireCodes.BAD_JSON,
                    null,
                    "expected one JSON object, got "
                            + (tree == null
                                    ? "nothing"
                                    : tree.getNodeType().name().toLowerCase(java.util.Locale.ROOT))
                            + ". Send one line of an OpenAI batch file, or its body.");
        }
        return object;
    }

    /** Returns the bytes of a tree. */
    static byte[] bytes(JsonNode tree) {
        try {
            return MAPPER.writeValueAsBytes(tree);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("Cannot write JSON: expected a tree of plain values, got another.", e);
        }
    }

    private static String where(JsonProcessingException e) {
        JsonLocation at = e.getLocation();
        return at == null ? e.getClass().getSimpleName() : "line " + at.getLineNr() + ", column " + at.getColumnNr();
    }
}
