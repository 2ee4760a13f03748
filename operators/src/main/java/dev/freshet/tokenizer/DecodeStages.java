package dev.freshet.tokenizer;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The decoder steps of tokenizer.json that language models of the supported architectures use. */
final class DecodeStages {

    private DecodeStages() {}

    /** Puts a space between pieces: the library's rule for a tokenizer without decoder. */
    static final class Join implements DecodeStage {
        private boolean first = true;

        @Override
        public void accept(String piece, Next next) {
            next.accept(first ? piece : " " + piece);
            first = false;
        }
    }

    /** Replaces a literal in each piece. */
    record Replace(String pattern, String content) implements DecodeStage {
        @Override
        public void accept(String piece, Next next) {
            next.accept(piece.replace(pattern, content));
        }
    }

    /** Glues all pieces together. What follows sees one piece that arrives in parts, so there is nothing to do but to know it. */
    static final class Fuse implements DecodeStage {
        @Override
        public void accept(String piece, Next next) {
            next.accept(piece);
        }
    }

    /** Takes characters off the start and the end of each piece. */
    record Strip(char content, int start, int stop) implements DecodeStage {
        @Override
        public void accept(String piece, Next next) {
            int from = 0;
            while (from < piece.length() && from < start && piece.charAt(from) == content) {
                from++;
            }
            int to = piece.length();
            while (to > from && piece.length() - to < stop && piece.charAt(to - 1) == content) {
                to--;
            }
            next.accept(piece.substring(from, to));
        }
    }

    /** Takes characters off the start of the fused text. */
    static final class StripFused implements DecodeStage {
        private final char content;
        private int left;

        StripFused(char content, int start) {
            this.content = content;
            left = start;
        }

        @Override
        public void accept(String piece, Next next) {
            int from = 0;
            while (left > 0 && from < piece.length()) {
                if (piece.charAt(from) == content) {
                    from++;
                    left--;
                } else {
                    left = 0;
                }
            }
            next.accept(piece.substring(from));
        }
    }

    /** Turns the replacement character into spaces, and drops it from the first piece. */
    static final class Metaspace implements DecodeStage {
        private final char replacement;
        private boolean dropping;

        Metaspace(char replacement, boolean dropFromFirst) {
            this.replacement = replacement;
            dropping = dropFromFirst;
        }

        @Override
        public void accept(String piece, Next next) {
            next.accept(dropping ? piece.replace(String.valueOf(replacement), "") : piece.replace(replacement, ' '));
            dropping = false;
        }
    }

    /**
     * Gathers runs of byte pieces like {@code <0xE4>}. A run is text when all of it is UTF-8 and otherwise one U+FFFD for each
     * byte, so nothing of it is certain before it ends.
     */
    static final class ByteFallback implements DecodeStage {
        private byte[] run = new byte[16];
        private int length;

        @Override
        public void accept(String piece, Next next) {
            int value = byteOf(piece);
            if (value < 0) {
                finish(next);
                next.accept(piece);
                return;
            }
            if (length == run.length) {
                run = Arrays.copyOf(run, 2 * length);
            }
            run[length++] = (byte) value;
        }

        @Override
        public void finish(Next next) {
            if (length == 0) {
                return;
            }
            try {
                next.accept(StandardCharsets.UTF_8
                        .newDecoder()
                        .decode(ByteBuffer.wrap(run, 0, length))
                        .toString());
            } catch (CharacterCodingException e) {
                for (int i = 0; i < length; i++) {
                    next.accept("\ufffd");
                }
            }
            length = 0;
        }

        static int byteOf(String piece) {
            if (piece.length() != 6 || !piece.startsWith("<0x") || piece.charAt(5) != '>') {
                return -1;
            }
            int high = Character.digit(piece.charAt(3), 16);
            int low = Character.digit(piece.charAt(4), 16);
            boolean hex = high >= 0 && low >= 0 && piece.charAt(3) < 0x80 && piece.charAt(4) < 0x80;
            return hex ? 16 * high + low : -1;
        }
    }

    /** Maps the printable stand-ins of byte-level vocabularies back to bytes and reads those as UTF-8. */
    static final class ByteLevel implements DecodeStage {
        private static final byte[] BYTE_OF = new byte[0x144];
        private static final boolean[] STANDS_FOR_BYTE = new boolean[0x144];

        static {
            // Bytes that print stand for themselves, the others for U+0100 and up, in order.
            int next = 0x100;
            for (int b = 0; b < 0x100; b++) {
                boolean prints = (b >= '!' && b <= '~') || (b >= 0xa1 && b != 0xad);
                int c = prints ? b : next++;
                BYTE_OF[c] = (byte) b;
                STANDS_FOR_BYTE[c] = true;
            }
        }

        private final Utf8Stream utf8 = new Utf8Stream();
        private final StringBuilder out = new StringBuilder();

        @Override
        public void accept(String piece, Next next) {
            if (mapped(piece)) {
                for (int i = 0; i < piece.length(); i++) {
                    utf8.accept(BYTE_OF[piece.charAt(i)], out);
                }
            } else {
                for (byte b : piece.getBytes(StandardCharsets.UTF_8)) {
                    utf8.accept(b, out);
                }
            }
            send(next);
        }

        @Override
        public void finish(Next next) {
            utf8.finish(out);
            send(next);
        }

        private void send(Next next) {
            if (out.length() > 0) {
                next.accept(out.toString());
                out.setLength(0);
            }
        }

        private static boolean mapped(String piece) {
            for (int i = 0; i < piece.length(); i++) {
                char c = piece.charAt(i);
                if (c >= STANDS_FOR_BYTE.length || !STANDS_FOR_BYTE[c]) {
                    return false;
                }
            }
            return true;
        }
    }
}
