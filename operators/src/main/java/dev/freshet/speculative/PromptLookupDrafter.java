package dev.freshet.speculative;

import java.util.Arrays;

/**
 * Guesses that a sequence repeats itself: looks up the last earlier occurrence of its final n-gram and proposes what followed there
 * (prompt lookup decoding, Saxena 2023), docs/maths.md §5.4. Needs no heads and works with every model. One instance for each
 * sequence; adding a token and proposing cost the same at any length, and the index stays below a mebibyte. Confined to the engine
 * thread.
 */
public final class PromptLookupDrafter {

    /** Longest and shortest n-gram that is looked up. */
    private static final int LONGEST = 3;

    private static final int SHORTEST = 2;

    private static final int SMALLEST_TABLE = 256;
    private static final int LARGEST_TABLE = 1 << 17;

    /** Tokens that the index still covers after it had to forget. */
    private static final int KEPT = 1 << 14;

    /** Entries of n-grams by hash, 0 for none: twice the position after the last occurrence, plus n - 2, plus 1. */
    private int[] table = new int[SMALLEST_TABLE];

    private int used;
    private int[] tokens = new int[64];
    private int length;

    /** Appends a token of the prompt or the output. */
    public void add(int token) {
        // The n-grams that end before this token become findable now that a continuation exists.
        for (int n = SHORTEST; n <= LONGEST; n++) {
            if (length >= n) {
                int at = place(length, n);
                used += table[at] == 0 ? 1 : 0;
                table[at] = 2 * length + n - SHORTEST + 1;
            }
        }
        if (2 * (used + LONGEST) > table.length) {
            rebuild();
        }
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * length);
        }
        tokens[length++] = token;
    }

    /** Doubles the table; one that is as large as it may be forgets what lies far back. */
    private void rebuild() {
        int[] old = table;
        int oldest = old.length < LARGEST_TABLE ? 0 : length - KEPT;
        table = new int[Math.min(LARGEST_TABLE, 2 * old.length)];
        used = 0;
        for (int entry : old) {
            if (entry != 0 && end(entry) >= oldest) {
                table[place(end(entry), size(entry))] = entry;
                used++;
            }
        }
    }

    private static int end(int entry) {
        return (entry - 1) / 2;
    }

    private static int size(int entry) {
        return (entry - 1) % 2 + SHORTEST;
    }

    /** Where the n-gram that ends before a position stands in the table, or would stand. */
    private int place(int end, int n) {
        long hash = n;
        for (int i = end - n; i < end; i++) {
            hash = (hash + tokens[i] + 1) * 0x9E3779B97F4A7C15L;
            hash ^= hash >>> 29;
        }
        int at = (int) hash & (table.length - 1);
        while (table[at] != 0 && !(size(table[at]) == n && same(end(table[at]), end, n))) {
            at = (at + 1) & (table.length - 1);
        }
        return at;
    }

    private boolean same(int end, int otherEnd, int n) {
        for (int i = 1; i <= n; i++) {
            if (tokens[end - i] != tokens[otherEnd - i]) {
                return false;
            }
        }
        return true;
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
            int entry = table[place(length, n)];
            if (entry == 0) {
                continue;
            }
            // Where the match is close, the guesses run on into themselves: a loop is continued as a loop.
            int start = end(entry);
            int period = length - start;
            for (int i = 0; i < limit; i++) {
                out[i] = tokens[start + i % period];
            }
            return limit;
        }
        return 0;
    }
}
