package dev.freshet.speculative;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Guesses that a sequence repeats itself: looks up the last earlier occurrence of its final n-gram and proposes what followed there
 * (prompt lookup decoding, Saxena 2023). Needs no heads and works with every model. One instance for each sequence; adding a token
 * and proposing cost the same at any length. Confined to the engine thread.
 */
public final class PromptLookupDrafter {

    /** Longest and shortest n-gram that is looked up. */
    private static final int LONGEST = 3;

    private static final int SHORTEST = 2;

    /** Position after the last earlier occurrence of an n-gram, by n and its hash; a hit is checked against the tokens. */
    private final Map<Long, Integer> after = new HashMap<>();

    private int[] tokens = new int[64];
    private int length;

    /** Appends a token of the prompt or the output. */
    public void add(int token) {
        // The n-grams that end before this token become findable now that a continuation exists.
        for (int n = SHORTEST; n <= LONGEST; n++) {
            if (length >= n) {
                after.put(key(n), length);
            }
        }
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * length);
        }
        tokens[length++] = token;
    }

    private long key(int n) {
        long hash = n;
        for (int i = length - n; i < length; i++) {
            hash = hash * 0x9E3779B97F4A7C15L + tokens[i] + 1;
            hash ^= hash >>> 29;
        }
        return hash;
    }

    /**
     * Proposes what may follow.
     *
     * @param out overwritten with guesses
     * @param limit most guesses wanted
     * @return their number, 0 without an earlier occurrence
     */
    public int propose(int[] out, int limit) {
        for (int n = Math.min(LONGEST, length); n >= SHORTEST; n--) {
            Integer start = after.get(key(n));
            if (start == null || !same(start, n)) {
                continue;
            }
            // Where the match is close, the guesses run on into themselves: a loop is continued as a loop.
            int period = length - start;
            for (int i = 0; i < limit; i++) {
                out[i] = tokens[start + i % period];
            }
            return limit;
        }
        return 0;
    }

    private boolean same(int start, int n) {
        for (int i = 1; i <= n; i++) {
            if (tokens[start - i] != tokens[length - i]) {
                return false;
            }
        }
        return true;
    }
}
