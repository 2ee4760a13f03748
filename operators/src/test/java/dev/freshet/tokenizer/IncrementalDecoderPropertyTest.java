package dev.freshet.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/** Decoding token by token gives the text that the native library gives for all of them at once. */
class IncrementalDecoderPropertyTest {

    private static final List<String> DECODERS = List.of(
            "null",
            "{\"type\":\"Fuse\"}",
            "{\"type\":\"ByteFallback\"}",
            "{\"type\":\"Metaspace\",\"replacement\":\"\u0120\",\"prepend_scheme\":\"always\",\"split\":true}",
            "{\"type\":\"Metaspace\",\"replacement\":\"\u0120\",\"prepend_scheme\":\"never\",\"split\":true}",
            "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},"
                    + "{\"type\":\"Metaspace\",\"replacement\":\"\u0120\",\"add_prefix_space\":true}]}",
            "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\u0120\"},\"content\":\" \"},"
                    + "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
                    + "{\"type\":\"Strip\",\"content\":\" \",\"start\":2,\"stop\":0}]}",
            "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Strip\",\"content\":\"e\",\"start\":1,\"stop\":0}]}",
            "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
                    + "\"trim_offsets\":true,\"use_regex\":true}]}");

    private static int[] tokens(SplittableRandom r, int vocab) {
        int n = r.nextInt(60);
        int style = r.nextInt(3);
        // Byte tokens are what can go wrong, so two styles have many of them.
        return r.ints(n, 0, style == 0 ? vocab : Math.min(vocab, 262))
                .map(t -> style == 2 && r.nextInt(8) > 0 ? 3 + t % 259 : t)
                .toArray();
    }

    private static void check(Tokenizer tokenizer, Tokenizers.Oracle oracle, int[] ids, boolean skip) {
        String expected = oracle.decode(ids, skip);
        IncrementalDecoder decoder = tokenizer.decoder(skip);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            int before = text.length();
            decoder.accept(id, text);
            assertThat(expected).startsWith(text.toString());
            assertThat(text.length()).isGreaterThanOrEqualTo(before);
        }
        decoder.finish(text);
        assertThat(text.toString()).as("%s", Arrays.toString(ids)).isEqualTo(expected);
        assertThat(tokenizer.decode(ids, skip)).isEqualTo(expected);
    }

    @Property(tries = 3000, seed = "51")
    void byteLevelAgrees(@ForAll long seed) {
        SplittableRandom r = new SplittableRandom(seed);
        check(Shared.BYTE_LEVEL, Shared.BYTE_LEVEL_ORACLE, tokens(r, 405), r.nextBoolean());
    }

    // No jqwik where the shared folder decides whether there is anything to do: an assumption would count as a failed
    // try.
    @Test
    void sentencePieceStyleAgrees() {
        SplittableRandom r = new SplittableRandom(52);
        try (Tokenizer tokenizer = Tokenizers.load(Tokenizers.storiesJson());
                Tokenizers.Oracle oracle = new Tokenizers.Oracle(Tokenizers.storiesJson())) {
            for (int i = 0; i < 3000; i++) {
                check(tokenizer, oracle, tokens(r, 515), r.nextBoolean());
            }
        }
    }

    @Property(tries = 300, seed = "53")
    void everySupportedDecoderAgrees(@ForAll long seed) {
        SplittableRandom r = new SplittableRandom(seed);
        ObjectNode json = Tokenizers.byteLevelJson();
        json.set("decoder", Tokenizers.parse(DECODERS.get(r.nextInt(DECODERS.size()))));
        // Byte pieces and the dividing character, so that every step has something to do.
        ObjectNode vocab = (ObjectNode) json.get("model").get("vocab");
        for (int i = 0; i < 20; i++) {
            vocab.put(String.format("<0x%02X>", new int[] {0xE4, 0xBD, 0xA0, 0x41, 0xFF}[i % 5] + i / 5), 400 + i);
        }
        try (Tokenizer tokenizer = Tokenizers.load(json);
                Tokenizers.Oracle oracle = new Tokenizers.Oracle(json)) {
            for (int i = 0; i < 20; i++) {
                int[] ids = r.ints(r.nextInt(30), 0, 425)
                        .map(t -> r.nextInt(3) == 0 ? 400 + t % 20 : t)
                        .toArray();
                check(tokenizer, oracle, ids, r.nextBoolean());
            }
        }
    }

    private static void checkContinuation(Tokenizer tokenizer) {
        for (String prompt : new String[] {"", " ", "Once upon a", "a ", "\u4f60", "x\n", "  "}) {
            for (String text : new String[] {"", " time there", "there", "\u597d!\ud83d\ude00"}) {
                int[] before = tokenizer.encode(prompt);
                int[] after = tokenizer.encodeText(text);
                int[] both = Arrays.copyOf(before, before.length + after.length);
                System.arraycopy(after, 0, both, before.length, after.length);
                IncrementalDecoder decoder = tokenizer.decoder(true);
                decoder.skip(before);
                StringBuilder out = new StringBuilder();
                for (int id : after) {
                    decoder.accept(id, out);
                }
                decoder.finish(out);
                assertThat(tokenizer.decode(before, true) + out).isEqualTo(tokenizer.decode(both, true));
            }
        }
    }

    @Test
    void textContinuesThePrompt() {
        checkContinuation(Shared.BYTE_LEVEL);
    }

    @Test
    void textContinuesASentencePiecePromptWithItsSpace() {
        try (Tokenizer tokenizer = Tokenizers.load(Tokenizers.storiesJson())) {
            checkContinuation(tokenizer);
            IncrementalDecoder decoder = tokenizer.decoder(true);
            decoder.skip(tokenizer.encode("Once upon a"));
            StringBuilder out = new StringBuilder();
            decoder.accept(tokenizer.idOf("\u2581time").orElse(378), out);
            assertThat(out.toString()).startsWith(" ");
        }
    }

    @Test
    void incompleteCharacterIsReplacedAtTheEndAlone() {
        Tokenizer tokenizer = Shared.BYTE_LEVEL;
        int[] ids = tokenizer.encodeText("\u4f60");
        assertThat(ids).hasSize(3);
        IncrementalDecoder decoder = tokenizer.decoder(true);
        StringBuilder text = new StringBuilder();
        decoder.accept(ids[0], text);
        decoder.accept(ids[1], text);
        assertThat(text).isEmpty();
        decoder.finish(text);
        assertThat(text.toString()).isEqualTo("\ufffd");
        decoder.finish(text);
        assertThat(text.toString()).isEqualTo("\ufffd");
    }

    @Test
    void longRunsCostLinearMemoryAndCalls() {
        ObjectNode json = Tokenizers.byteLevelJson();
        json.set("decoder", Tokenizers.parse("{\"type\":\"ByteFallback\"}"));
        ((ObjectNode) json.get("model").get("vocab")).put("<0xFF>", 400);
        IncrementalDecoder decoder = Tokenizers.load(json).decoder(true);
        StringBuilder text = new StringBuilder();
        int byteToken = 400;
        for (int i = 0; i < 300_000; i++) {
            decoder.accept(byteToken, text);
        }
        decoder.finish(text);
        assertThat(text.length()).isEqualTo(300_000);
    }

    // The tokenizers are immutable, so the tries share them.
    private static final class Shared {
        static final Tokenizer BYTE_LEVEL = Tokenizers.byteLevel();
        static final Tokenizers.Oracle BYTE_LEVEL_ORACLE = new Tokenizers.Oracle(Tokenizers.byteLevelJson());
    }
}
