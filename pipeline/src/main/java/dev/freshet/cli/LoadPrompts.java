package dev.freshet.cli;

import dev.freshet.request.ConfigError;
import dev.freshet.sampling.CounterRng;
import dev.freshet.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Makes up prompts of a wanted number of tokens: words of the tokenizer's vocabulary drawn at random, or pieces of a text. The same seed
 * and number give the same prompt. Confined to one thread.
 */
final class LoadPrompts {

    private static final int SHORTEST_WORD = 2;
    private static final int ROUNDS = 16;
    /** Draws of one prompt: more words than any prompt has. */
    private static final int DRAWS = 1 << 24;

    private final Tokenizer tokenizer;
    private final List<String> words;
    private final boolean running;
    private final long seed;

    private LoadPrompts(Tokenizer tokenizer, List<String> words, boolean running, long seed) {
        this.tokenizer = tokenizer;
        this.words = words;
        this.running = running;
        this.seed = seed;
    }

    /**
     * Opens a source of prompts.
     *
     * @param text file whose words stand in prompts in its order, or null for words of the vocabulary in none
     * @throws ConfigError when there are no words
     */
    static LoadPrompts of(Tokenizer tokenizer, @Nullable Path text, long seed) {
        List<String> words = text == null ? vocabulary(tokenizer) : words(text);
        if (words.isEmpty()) {
            throw new ConfigError("Cannot make prompts: expected words, got none ("
                    + (text == null ? "vocabulary of the model" : text) + "). Name a text with --text.");
        }
        return new LoadPrompts(tokenizer, words, text != null, seed);
    }

    private static List<String> words(Path text) {
        try {
            return List.of(Files.readString(text).strip().split("\\s+"));
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot make prompts: expected a readable text in UTF-8 (" + text + "). Check --text.", e);
        }
    }

    /** Words that are one token each after a space, so that a prompt of n words has about n tokens. */
    private static List<String> vocabulary(Tokenizer tokenizer) {
        Set<String> whole = new LinkedHashSet<>();
        Set<String> others = new LinkedHashSet<>();
        int alone = tokenizer.encodeText("a").length;
        for (int id = 0; id < tokenizer.vocabSize(); id++) {
            String word = tokenizer.isSpecial(id) || tokenizer.token(id) == null
                    ? ""
                    : tokenizer.decode(new int[] {id}, true).strip();
            if (word.isEmpty() || !word.chars().allMatch(Character::isLetter)) {
                continue;
            }
            boolean oneToken = tokenizer.encodeText("a " + word).length == alone + 1;
            (oneToken && word.length() >= SHORTEST_WORD ? whole : others).add(word);
        }
        return new ArrayList<>(whole.isEmpty() ? others : whole);
    }

    /**
     * Returns a prompt.
     *
     * @param number which one
     * @param tokens tokens that it shall have, with those that the tokenizer puts around a prompt; it has as many, or as near to that as
     *     its words allow
     */
    String make(int number, int tokens) {
        int count = Math.max(1, tokens);
        String best = "";
        int nearest = Integer.MAX_VALUE;
        for (int round = 0; round < ROUNDS; round++) {
            String text = text(number, count);
            int got = tokenizer.encode(text).length;
            int off = tokens - got;
            if (Math.abs(off) < nearest) {
                nearest = Math.abs(off);
                best = text;
            }
            if (off == 0 || (count == 1 && off < 0)) {
                break;
            }
            int step = (int) Math.round(off / Math.max(1.0, (double) got / count));
            count = Math.max(1, count + (step == 0 ? Integer.signum(off) : step));
        }
        return best;
    }

    private String text(int number, int count) {
        StringBuilder text = new StringBuilder();
        int at = draw(number, 0);
        for (int i = 0; i < count; i++) {
            text.append(i == 0 ? "" : " ").append(words.get(running ? (at + i) % words.size() : draw(number, i)));
        }
        return text.toString();
    }

    private int draw(int number, int position) {
        return (int) (CounterRng.uniform(seed, (long) number * DRAWS + position) * words.size());
    }
}
