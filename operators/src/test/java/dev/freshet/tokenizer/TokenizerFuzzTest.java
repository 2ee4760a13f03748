package dev.freshet.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.freshet.request.ConfigError;
import dev.freshet.request.SamplingParams;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;

/** Tokenizer files and texts from anywhere, and whatever tokens a model may choose. */
@Tag("fuzz")
final class TokenizerFuzzTest {

    @TempDir
    static Path folder;

    private final Tokenizer tokenizer = Tokenizers.byteLevel();

    /** What our half accepts must not take the native half, and the process with it, down. */
    @FuzzTest
    void file(byte[] bytes) throws IOException {
        Files.write(folder.resolve(Tokenizer.FILE), bytes);
        try (Tokenizer loaded = Tokenizer.load(folder)) {
            int[] ids = loaded.encode("The little fox went home, 12 times. \u00fc\u4e16\uD83D\uDE00");
            for (int id : ids) {
                assertThat(id).isBetween(0, loaded.vocabSize() - 1);
            }
            assertThat(loaded.decode(ids, false)).isNotNull();
        } catch (ConfigError e) {
            assertThat(e.getMessage()).matches("(?s)Cannot .+expected .+\\.");
        }
    }

    /** The byte-level tokenizer keeps every text. */
    @FuzzTest
    void text(byte[] bytes) {
        String text = new String(bytes, StandardCharsets.UTF_8);
        int[] ids = tokenizer.encodeText(text);
        assertThat(ids.length).isLessThanOrEqualTo(Math.max(1, text.getBytes(StandardCharsets.UTF_8).length));
        String kept = text.replace(TokenizerFile.CONTROL_MARK, '\ufffd');
        assertThat(tokenizer.decode(ids, false)).isEqualTo(kept);
    }

    /** Whatever tokens come, cut wherever: the pieces make the text, and the first stop string ends it. */
    @FuzzTest
    void growingText(FuzzedDataProvider data) {
        List<String> stop = new ArrayList<>();
        for (int n = data.consumeInt(0, 3); n > 0; n--) {
            String one = data.consumeString(4);
            if (!one.isEmpty()) {
                stop.add(one);
            }
        }
        SamplingParams params = SamplingParams.builder()
                .stop(stop)
                .minTokens(data.consumeInt(0, 4))
                .includeStop(data.consumeBoolean())
                .skipSpecialTokens(data.consumeBoolean())
                .build();
        TextStream stream = new TextStream(tokenizer, params, new int[0], Set.of(1));
        StringBuilder pieces = new StringBuilder();
        while (data.remainingBytes() > 0 && stream.match() == null) {
            stream.accept(data.consumeInt(-2, 450));
            if (data.consumeBoolean()) {
                pieces.append(stream.drain());
            }
        }
        stream.finish();
        pieces.append(stream.drain());
        assertThat(pieces.toString()).isEqualTo(stream.text());
        assertThat(StandardCharsets.UTF_8.newEncoder().canEncode(stream.text())).isTrue();
        if (params.minTokens() == 0 && !params.includeStop()) {
            assertThat(stop).noneMatch(stream.text()::contains);
        }
    }
}
