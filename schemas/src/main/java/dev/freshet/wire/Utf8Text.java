package dev.freshet.wire;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Strict UTF-8: damage is found, never papered over with replacement characters. */
final class Utf8Text {

    private static final char REPLACEMENT = '\uFFFD';

    private Utf8Text() {}

    /** Returns the text, or null when the bytes are not well-formed UTF-8 (overlong forms and surrogates included). */
    static @Nullable String decode(byte[] bytes, int offset, int length) {
        String text = new String(bytes, offset, length, StandardCharsets.UTF_8);
        if (text.indexOf(REPLACEMENT) < 0) {
            return text;
        }
        // A replacement character is either in the bytes or was put in for damage; only the slow decoder can tell.
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(bytes, offset, length))
                    .toString();
        } catch (CharacterCodingException e) {
            return null;
        }
    }

    /** Whether every surrogate has its partner, so that the text has a UTF-8 form. */
    static boolean wellFormed(String text) {
        return firstLone(text) < 0;
    }

    /** Returns the text with a replacement character for each surrogate without partner. */
    static String repaired(String text) {
        int lone = firstLone(text);
        if (lone < 0) {
            return text;
        }
        StringBuilder out = new StringBuilder(text);
        for (int i = lone; i < out.length(); i++) {
            char c = out.charAt(i);
            if (Character.isHighSurrogate(c) && i + 1 < out.length() && Character.isLowSurrogate(out.charAt(i + 1))) {
                i++;
            } else if (Character.isSurrogate(c)) {
                out.setCharAt(i, REPLACEMENT);
            }
        }
        return out.toString();
    }

    private static int firstLone(String text) {
        int length = text.length();
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (!Character.isSurrogate(c)) {
                continue;
            }
            if (Character.isHighSurrogate(c) && i + 1 < length && Character.isLowSurrogate(text.charAt(i + 1))) {
                i++;
            } else {
                return i;
            }
        }
        return -1;
    }
}
