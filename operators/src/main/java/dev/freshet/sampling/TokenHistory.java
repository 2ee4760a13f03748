package dev.freshet.sampling;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of one sequence, prompt and output, with the counts that penalties need. Counts cost nothing until a penalty asks
 * for them, and one table update for each token from then on. Confined to the engine thread.
 */
public final class TokenHistory {

    private final int promptLength;
    private int[] tokens;
    private int length;
    private @Nullable Counts counts;

    /** Starts with a prompt and no output. */
    public TokenHistory(int[] prompt) {
        this(prompt, new int[0]);
    }

    /** Starts with a prompt and the output of an interrupted run. */
    public TokenHistory(int[] prompt, int[] output) {
        promptLength = prompt.length;
        length = prompt.length + output.length;
        tokens = Arrays.copyOf(prompt, length + 16);
        System.arraycopy(output, 0, tokens, promptLength, output.length);
    }

    /** Adds a token to the output. */
    public void append(int token) {
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, length + (length >> 1) + 16);
        }
        tokens[length++] = token;
        if (counts != null) {
            counts.addOutput(token);
        }
    }

    /** Tokens of prompt and output. */
    public int length() {
        return length;
    }

    /** Tokens of the prompt. */
    public int promptLength() {
        return promptLength;
    }

    /** Tokens of the output. */
    public int outputLength() {
        return length - promptLength;
    }

    /** The token at an index of prompt + output. */
    public int token(int index) {
        if (index >= length) {
            throw new IndexOutOfBoundsException(index);
        }
        return tokens[index];
    }

    /** A copy of the prompt. */
    public int[] prompt() {
        return Arrays.copyOf(tokens, promptLength);
    }

    /** A copy of the output. */
    public int[] output() {
        return Arrays.copyOfRange(tokens, promptLength, length);
    }

    /** Whether the prompt holds the token. */
    public boolean inPrompt(int token) {
        Counts c = counts();
        return c.prompt[c.slot(token)];
    }

    /** How often the output holds the token. */
    public int outputCount(int token) {
        Counts c = counts();
        return c.output[c.slot(token)];
    }

    Counts counts() {
        Counts c = counts;
        if (c == null) {
            c = new Counts();
            for (int i = 0; i < length; i++) {
                if (i < promptLength) {
                    c.addPrompt(tokens[i]);
                } else {
                    c.addOutput(tokens[i]);
                }
            }
            counts = c;
        }
        return c;
    }

    /** Open-addressing table by token id; a slot is free while it has neither mark nor count. */
    static final class Counts {
        int[] token = new int[64];
        int[] output = new int[64];
        boolean[] prompt = new boolean[64];
        private int used;

        int slots() {
            return token.length;
        }

        boolean free(int slot) {
            return output[slot] == 0 && !prompt[slot];
        }

        private int slot(int id) {
            int mask = token.length - 1;
            int slot = id * 0x9e3779b9 >>> 7 & mask;
            while (!free(slot) && token[slot] != id) {
                slot = slot + 1 & mask;
            }
            return slot;
        }

        void addPrompt(int id) {
            int slot = claim(id);
            prompt[slot] = true;
        }

        void addOutput(int id) {
            int slot = claim(id);
            output[slot]++;
        }

        private int claim(int id) {
            int slot = slot(id);
            if (free(slot)) {
                if (2 * ++used > token.length) {
                    grow();
                    slot = slot(id);
                }
                token[slot] = id;
            }
            return slot;
        }

        private void grow() {
            int[] oldToken = token;
            int[] oldOutput = output;
            boolean[] oldPrompt = prompt;
            token = new int[2 * oldToken.length];
            output = new int[token.length];
            prompt = new boolean[token.length];
            for (int i = 0; i < oldToken.length; i++) {
                if (oldOutput[i] != 0 || oldPrompt[i]) {
                    int slot = slot(oldToken[i]);
                    token[slot] = oldToken[i];
                    output[slot] = oldOutput[i];
                    prompt[slot] = oldPrompt[i];
                }
            }
        }
    }
}
