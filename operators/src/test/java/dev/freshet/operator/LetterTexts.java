package dev.freshet.operator;

import dev.freshet.engine.StopMatch;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.PromptRequest;
import dev.freshet.request.RequestError;
import dev.freshet.request.SamplingParams;
import org.jspecify.annotations.Nullable;

/** Texts of a vocabulary of 27: token 0 is the end, token i the i-th letter. Holds back what could become a stop string. */
public final class LetterTexts implements Texts {

    static final int VOCABULARY = 27;
    static final int END = 0;

    @Override
    public Encoded encode(PromptRequest request) {
        if (request.promptTokenIds() != null) {
            return new Tokens(request.promptTokenIds(), new int[0]);
        }
        if (request.chat()) {
            return new Refused(
                    new RequestError(ErrorCode.UNKNOWN_CHAT_FORMAT, "chat_format", "No conversations here."));
        }
        String text = request.prompt() == null ? "" : request.prompt();
        if (text.contains("!")) {
            throw new IllegalStateException("a tokenizer bug");
        }
        return new Tokens(ids(text), new int[0]);
    }

    @Override
    public Encoded encodeNext(PromptRequest request) {
        return encode(request);
    }

    /** Letters of a text as ids; everything else is the letter z. */
    public static int[] ids(String text) {
        return text.chars().map(c -> c >= 'a' && c <= 'z' ? c - 'a' + 1 : 26).toArray();
    }

    /** Text of ids, ends left out. */
    public static String text(int[] ids) {
        StringBuilder out = new StringBuilder();
        for (int id : ids) {
            out.append(id == END ? "" : String.valueOf((char) ('a' + id - 1)));
        }
        return out.toString();
    }

    @Override
    public Growing begin(SamplingParams params, int[] prompt) {
        return new Letters(params);
    }

    @Override
    public String piece(int token) {
        return text(new int[] {token});
    }

    @Override
    public String decode(int[] ids) {
        return text(ids);
    }

    /** A growing word. */
    private static final class Letters implements Growing {

        private final SamplingParams params;
        private final StringBuilder text = new StringBuilder();
        private int taken;
        private boolean finished;
        private int tokens;

        Letters(SamplingParams params) {
            this.params = params;
        }

        @Override
        public @Nullable StopMatch accept(int token) {
            tokens++;
            text.append(LetterTexts.text(new int[] {token}));
            for (String stop : params.stop()) {
                int at = text.indexOf(stop, Math.max(0, text.length() - stop.length()));
                if (at >= 0 && tokens > params.minTokens()) {
                    text.setLength(at);
                    return new StopMatch(stop, null);
                }
            }
            return null;
        }

        @Override
        public String take() {
            int longest = params.stop().stream().mapToInt(String::length).max().orElse(1);
            int held = finished ? 0 : longest - 1;
            int end = Math.max(taken, text.length() - held);
            String piece = text.substring(taken, end);
            taken = end;
            return piece;
        }

        @Override
        public String finish() {
            finished = true;
            return text.toString();
        }
    }
}
