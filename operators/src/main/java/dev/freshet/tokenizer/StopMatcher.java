package dev.freshet.tokenizer;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds the first of several strings in a text that arrives character by character: the automaton of Aho and Corasick (1975), which
 * takes amortised constant time for each character. Nothing is allocated by a search, whose state is one int. Immutable.
 */
final class StopMatcher {

    /** The state before the first character. */
    static final int START = 0;

    private static final int NONE = -1;

    // State s has the character label[s] on the edge to it; its edges go to firstChild[s] and that one's siblings.
    private final char[] label;
    private final int[] firstChild;
    private final int[] sibling;
    private final int[] depth;
    private final int[] fail;
    private final @Nullable String[] match;
    private int states = 1;

    /** Builds the automaton; empty strings are ignored. */
    StopMatcher(List<String> strings) {
        int most = 1 + strings.stream().mapToInt(String::length).sum();
        label = new char[most];
        firstChild = new int[most];
        sibling = new int[most];
        depth = new int[most];
        fail = new int[most];
        match = new String[most];
        Arrays.fill(firstChild, NONE);
        Arrays.fill(sibling, NONE);
        for (String string : strings) {
            add(string);
        }
        link();
    }

    private void add(String string) {
        int state = START;
        for (int i = 0; i < string.length(); i++) {
            char c = string.charAt(i);
            int next = child(state, c);
            if (next == NONE) {
                next = states++;
                label[next] = c;
                depth[next] = i + 1;
                sibling[next] = firstChild[state];
                firstChild[state] = next;
            }
            state = next;
        }
        if (state != START) {
            match[state] = string;
        }
    }

    /** Breadth first, so that the shorter suffix to fall back to is linked already. */
    private void link() {
        int[] queue = new int[states];
        int end = 1;
        for (int at = 0; at < end; at++) {
            int state = queue[at];
            if (match[state] == null) {
                match[state] = match[fail[state]];
            }
            for (int next = firstChild[state]; next != NONE; next = sibling[next]) {
                fail[next] = state == START ? START : next(fail[state], label[next]);
                queue[end++] = next;
            }
        }
    }

    private int child(int state, char c) {
        int next = firstChild[state];
        while (next != NONE && label[next] != c) {
            next = sibling[next];
        }
        return next;
    }

    /** The state after one more character. */
    int next(int state, char c) {
        int from = state;
        int to = child(from, c);
        while (to == NONE && from != START) {
            from = fail[from];
            to = child(from, c);
        }
        return to == NONE ? START : to;
    }

    /** The longest string that ends with the last character, or null. */
    @Nullable
    String match(int state) {
        return match[state];
    }

    /** How many of the last characters could still become a match. */
    int pending(int state) {
        return depth[state];
    }
}
