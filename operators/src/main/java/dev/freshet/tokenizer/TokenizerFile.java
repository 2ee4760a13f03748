package dev.freshet.tokenizer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A tokenizer.json, checked field by field and taken apart: the native library gets the half that turns text into tokens, and this
 * package does the rest. The checks matter more than usual, because the library ends the whole process on some files that it does
 * not like.
 *
 * <p>In the native half all control tokens carry a name that no text can contain. So text never becomes a control token, whatever
 * a prompt says, while every id stays what it was.
 */
final class TokenizerFile {

    /** Starts the name that control tokens have in the native half; a noncharacter, which {@link Tokenizer} keeps out of text. */
    static final char CONTROL_MARK = '\ufdd0';

    private static final long MAX_BYTES = 64L << 20;
    private static final int MAX_ID = 1 << 22;
    private static final int MAX_PIECE = 10_000;
    private static final int MAX_ADDED = 65_536;
    private static final int MAX_MERGES = 1 << 23;

    private final Path file;
    private final Map<String, Integer> ids = new HashMap<>();
    private final BitSet special = new BitSet();
    private final Set<String> control = new HashSet<>(ChatFormat.CONTROL_TOKENS);
    private @Nullable String[] pieces = {};
    private int size;

    private TokenizerFile(Path file) {
        this.file = file;
    }

    /**
     * What a tokenizer.json holds. Immutable.
     *
     * @param vocabulary its tokens
     * @param decoder how tokens become text
     * @param template what the post-processor adds around a text
     * @param nativeJson the half that the native library reads
     */
    record Content(Vocabulary vocabulary, DecoderSpec decoder, Template template, String nativeJson) {}

    /** Reads and checks a file; throws ConfigError. */
    static Content read(Path file) {
        return new TokenizerFile(file).content(parse(file));
    }

    private static JsonNode parse(Path file) {
        if (!Files.isRegularFile(file)) {
            throw TokenizerError.of(
                    file,
                    "expected tokenizer.json, got none",
                    "Put the model's tokenizer.json into its directory, or work with token ids alone.");
        }
        JsonFactory factory = JsonFactory.builder()
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                .build();
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw TokenizerError.of(
                        file, "expected at most " + MAX_BYTES + " bytes, got " + Files.size(file), JsonFields.CURE);
            }
            JsonNode root = new ObjectMapper(factory).readTree(Files.readString(file));
            if (root == null || !root.isObject()) {
                throw TokenizerError.of(
                        file, "expected a JSON object, got " + TokenizerError.shown(root), JsonFields.CURE);
            }
            return root;
        } catch (JsonProcessingException e) {
            throw TokenizerError.of(
                    file,
                    "expected JSON, got: " + TokenizerError.shown(e.getOriginalMessage()),
                    "Download the file again.");
        } catch (IOException e) {
            throw TokenizerError.of(
                    file, "expected a readable UTF-8 file, got " + e.getClass().getSimpleName(), "Check the file.", e);
        }
    }

    private Content content(JsonNode root) {
        Set<String> sections = Set.of(
                "version",
                "truncation",
                "padding",
                "added_tokens",
                "normalizer",
                "pre_tokenizer",
                "post_processor",
                "decoder",
                "model");
        JsonFields fields = new JsonFields(file, "file", root, sections);
        ObjectNode out = JsonNodeFactory.instance.objectNode();
        out.put("version", "1.0");
        out.putNull("truncation").putNull("padding").putNull("post_processor").putNull("decoder");
        ArrayNode added = addedTokens(fields);
        ObjectNode model = model(root.path("model"));
        checkNumbering(added, model.path("vocab"));
        out.set("model", model);
        out.set("added_tokens", added);
        out.set("normalizer", TextSteps.normalizer(file, root.path("normalizer")));
        out.set("pre_tokenizer", TextSteps.preTokenizer(file, root.path("pre_tokenizer")));
        String json;
        try {
            json = new ObjectMapper().writeValueAsString(out);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
        Vocabulary vocabulary = new Vocabulary(Arrays.copyOf(pieces, size), ids, special);
        return new Content(
                vocabulary,
                DecoderSpec.read(file, root.path("decoder")),
                Template.read(file, root.path("post_processor"), size),
                json);
    }

    private ArrayNode addedTokens(JsonFields root) {
        ArrayNode out = JsonNodeFactory.instance.arrayNode();
        if (root.absent("added_tokens")) {
            return out;
        }
        Set<String> known = Set.of("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");
        for (JsonNode node : root.list("added_tokens", MAX_ADDED)) {
            JsonFields fields = new JsonFields(file, "added token", node, known);
            String content = fields.nonEmpty("content", MAX_PIECE);
            int id = fields.number("id", MAX_ID);
            boolean isSpecial = fields.flag("special", false);
            if (isSpecial) {
                special.set(id);
            }
            if (isSpecial || (content.startsWith("<|") && content.endsWith("|>"))) {
                control.add(content);
            }
            put(content, id);
            ObjectNode copy = out.addObject();
            copy.put("id", id).put("content", nativeName(content));
            for (String flag : new String[] {"single_word", "lstrip", "rstrip"}) {
                copy.put(flag, fields.flag(flag, false));
            }
            copy.put("normalized", !control.contains(content) && fields.flag("normalized", !isSpecial));
            copy.put("special", control.contains(content));
        }
        return out;
    }

    /** The library numbers added tokens itself, by this rule; a file that says otherwise would mean other tokens than it encodes. */
    private void checkNumbering(ArrayNode added, JsonNode vocab) {
        int highest = -1;
        for (JsonNode token : added) {
            int next = Math.max(vocab.size(), highest + 1);
            int expected = vocab.path(token.path("content").textValue()).asInt(next);
            int id = token.path("id").intValue();
            if (id != expected) {
                throw TokenizerError.of(
                        file,
                        "added token " + TokenizerError.shown(pieces[id]) + " expected to have id " + expected
                                + ", got " + id,
                        JsonFields.CURE);
            }
            highest = Math.max(highest, id);
        }
    }

    private String nativeName(String piece) {
        return control.contains(piece) ? CONTROL_MARK + piece : piece;
    }

    private void put(String piece, int id) {
        if (id >= pieces.length) {
            pieces = Arrays.copyOf(pieces, Math.max(id + 1, 2 * pieces.length));
        }
        String other = pieces[id];
        if (other != null && !other.equals(piece)) {
            throw TokenizerError.of(
                    file,
                    "id " + id + " expected one token, got " + TokenizerError.shown(other) + " and "
                            + TokenizerError.shown(piece),
                    JsonFields.CURE);
        }
        Integer before = ids.put(piece, id);
        if (before != null && before != id) {
            throw TokenizerError.of(
                    file,
                    "token " + TokenizerError.shown(piece) + " expected one id, got " + before + " and " + id,
                    JsonFields.CURE);
        }
        pieces[id] = piece;
        size = Math.max(size, id + 1);
    }

    private ObjectNode model(JsonNode node) {
        Set<String> known = Set.of(
                "type",
                "dropout",
                "unk_token",
                "continuing_subword_prefix",
                "end_of_word_suffix",
                "fuse_unk",
                "byte_fallback",
                "ignore_merges",
                "vocab",
                "merges");
        if (!node.path("type").asText("BPE").equals("BPE")) {
            throw TokenizerError.of(
                    file,
                    "model expected to be BPE, got "
                            + TokenizerError.shown(node.path("type").asText()),
                    JsonFields.CURE);
        }
        JsonFields fields = new JsonFields(file, "model", node, known);
        for (String name : new String[] {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
            if (!fields.absent(name)
                    && !fields.get(name).asText("x").isEmpty()
                    && fields.get(name).asDouble(1) != 0) {
                throw fields.refuse("no " + name, TokenizerError.shown(fields.get(name)));
            }
        }
        ObjectNode out = JsonNodeFactory.instance.objectNode();
        out.put("type", "BPE");
        ObjectNode vocab = vocab(fields);
        String unk = fields.absent("unk_token") ? null : fields.text("unk_token", MAX_PIECE);
        if (unk != null && !vocab.has(nativeName(unk))) {
            throw fields.refuse("unk_token in the vocabulary", TokenizerError.shown(unk));
        }
        out.put("unk_token", unk == null ? null : nativeName(unk));
        out.put("fuse_unk", fields.flag("fuse_unk", false));
        out.put("byte_fallback", fields.flag("byte_fallback", false));
        out.put("ignore_merges", fields.flag("ignore_merges", false));
        out.set("vocab", vocab);
        out.set("merges", merges(fields, vocab));
        return out;
    }

    private ObjectNode vocab(JsonFields fields) {
        JsonNode vocab = fields.get("vocab");
        if (!vocab.isObject() || vocab.isEmpty() || vocab.size() > MAX_ID) {
            throw fields.refuse("vocab as an object of tokens and ids", TokenizerError.shown(vocab));
        }
        ObjectNode out = JsonNodeFactory.instance.objectNode();
        for (Iterator<Map.Entry<String, JsonNode>> entries = vocab.fields(); entries.hasNext(); ) {
            Map.Entry<String, JsonNode> entry = entries.next();
            JsonNode id = entry.getValue();
            String piece = entry.getKey();
            boolean sound =
                    id.isIntegralNumber() && id.canConvertToInt() && id.intValue() >= 0 && id.intValue() <= MAX_ID;
            if (!sound || piece.length() > MAX_PIECE || piece.indexOf(CONTROL_MARK) >= 0) {
                throw fields.refuse(
                        "ids in [0, " + MAX_ID + "] in vocab",
                        TokenizerError.shown(piece) + ": " + TokenizerError.shown(id));
            }
            put(piece, id.intValue());
            out.put(nativeName(piece), id.intValue());
        }
        return out;
    }

    private ArrayNode merges(JsonFields fields, ObjectNode vocab) {
        ArrayNode out = JsonNodeFactory.instance.arrayNode();
        for (JsonNode merge : fields.list("merges", MAX_MERGES)) {
            String left;
            String right;
            if (merge.isArray()
                    && merge.size() == 2
                    && merge.get(0).isTextual()
                    && merge.get(1).isTextual()) {
                left = merge.get(0).textValue();
                right = merge.get(1).textValue();
            } else {
                String text = merge.isTextual() ? merge.textValue() : "";
                int space = text.indexOf(' ');
                if (space <= 0 || space != text.lastIndexOf(' ') || space == text.length() - 1) {
                    throw fields.refuse("merges of two tokens each", TokenizerError.shown(merge));
                }
                left = text.substring(0, space);
                right = text.substring(space + 1);
            }
            if (control.contains(left) || control.contains(right) || control.contains(left + right)) {
                // No text may be merged into a control token.
                continue;
            }
            if (!vocab.has(left) || !vocab.has(right) || !vocab.has(left + right)) {
                throw fields.refuse("merges of tokens in the vocabulary", TokenizerError.shown(merge));
            }
            out.addArray().add(left).add(right);
        }
        return out;
    }

    /** The refusal of a file that the native library does not accept although the checks above do. */
    static ConfigError refusedByLibrary(Path file, RuntimeException cause) {
        return TokenizerError.of(
                file,
                "expected a tokenizer that the tokenizers library accepts, got: "
                        + TokenizerError.shown(String.valueOf(cause.getMessage())),
                JsonFields.CURE,
                cause);
    }
}
