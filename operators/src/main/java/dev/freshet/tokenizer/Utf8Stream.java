package dev.freshet.tokenizer;

/**
 * Decodes UTF-8 byte by byte. A character appears when it is complete; each maximal part of a broken one becomes one U+FFFD, as
 * Unicode recommends (chapter 3.9, U+FFFD substitution of maximal subparts). Confined to the engine thread.
 */
final class Utf8Stream {

    private static final char REPLACEMENT = '\ufffd';

    private int codePoint;
    private int missing;
    // Bounds of the next continuation byte; narrower after some lead bytes, to exclude overlong forms and surrogates.
    private int low = 0x80;
    private int high = 0xbf;

    /** Takes the next byte and appends what it completes. */
    void accept(byte next, StringBuilder out) {
        int b = next & 0xff;
        if (missing > 0) {
            if (b >= low && b <= high) {
                codePoint = codePoint << 6 | (b & 0x3f);
                low = 0x80;
                high = 0xbf;
                if (--missing == 0) {
                    out.appendCodePoint(codePoint);
                }
                return;
            }
            missing = 0;
            low = 0x80;
            high = 0xbf;
            out.append(REPLACEMENT);
        }
        start(b, out);
    }

    private void start(int b, StringBuilder out) {
        if (b < 0x80) {
            out.append((char) b);
        } else if (b >= 0xc2 && b <= 0xdf) {
            missing = 1;
            codePoint = b & 0x1f;
        } else if (b >= 0xe0 && b <= 0xef) {
            missing = 2;
            codePoint = b & 0x0f;
            low = b == 0xe0 ? 0xa0 : 0x80;
            high = b == 0xed ? 0x9f : 0xbf;
        } else if (b >= 0xf0 && b <= 0xf4) {
            missing = 3;
            codePoint = b & 0x07;
            low = b == 0xf0 ? 0x90 : 0x80;
            high = b == 0xf4 ? 0x8f : 0xbf;
        } else {
            out.append(REPLACEMENT);
        }
    }

    /** Takes the end: an unfinished character becomes one U+FFFD. */
    void finish(StringBuilder out) {
        if (missing > 0) {
            missing = 0;
            low = 0x80;
            high = 0xbf;
            out.append(REPLACEMENT);
        }
    }
}
