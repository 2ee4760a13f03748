package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class Utf8TextTest {

    @Test
    void wellFormedTextIsDecodedAsIs() {
        for (String text : new String[] {"", "a", "\u0000", "\uFFFD", "é\uFFFD世\uD83D\uDE00"}) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            assertThat(Utf8Text.decode(bytes, 0, bytes.length)).isEqualTo(text);
        }
    }

    @Test
    void damageIsFoundBesideAReplacementCharacter() {
        byte[] bytes = {(byte) 0xEF, (byte) 0xBF, (byte) 0xBD, (byte) 0x80};
        assertThat(Utf8Text.decode(bytes, 0, 3)).isEqualTo("\uFFFD");
        assertThat(Utf8Text.decode(bytes, 0, 4)).isNull();
    }

    @Test
    void onlyHalfPairsAreRepaired() {
        assertThat(Utf8Text.repaired("\uD83D\uDE00")).isEqualTo("\uD83D\uDE00");
        assertThat(Utf8Text.repaired("a\uD83D")).isEqualTo("a\uFFFD");
        assertThat(Utf8Text.repaired("\uDE00\uD83D\uD83D\uDE00")).isEqualTo("\uFFFD\uFFFD\uD83D\uDE00");
        assertThat(Utf8Text.wellFormed("\uD83D\uDE00")).isTrue();
        assertThat(Utf8Text.wellFormed("\uDE00\uD83D")).isFalse();
    }
}
