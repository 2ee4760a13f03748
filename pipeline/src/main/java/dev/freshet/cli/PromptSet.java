package dev.freshet.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.request.ConfigError;
import dev.freshet.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Prompts of a benchmark. Immutable.
 *
 * @param name for people
 * @param ids token ids of each prompt
 */
record PromptSet(String name, List<int[]> ids) {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final List<String> BUILT_IN = List.of("stories", "extraction");
    private static final int RANDOM_PROMPTS = 16;
    private static final int RANDOM_LENGTH = 64;

    PromptSet {
        ids = List.copyOf(ids);
    }

    /** The sets that come with Freshet: openings of stories, and texts that ask for parts of themselves again. */
    static List<PromptSet> builtIn(Tokenizer tokenizer) {
        List<PromptSet> sets = new ArrayList<>();
        for (String name : BUILT_IN) {
            try (InputStream in = PromptSet.class.getResourceAsStream("/dev/freshet/bench/" + name + ".jsonl")) {
                if (in == null) {
                    throw new IllegalStateException("Cannot read the prompts: expected the resource " + name);
                }
                sets.add(parse(name, new String(in.readAllBytes(), StandardCharsets.UTF_8), tokenizer));
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        }
        return sets;
    }

    /** Prompts of a file: a JSON object in every line, with the text in {@code prompt}, or in {@code body.prompt}. */
    static PromptSet read(Path file, Tokenizer tokenizer) {
        try {
            return parse(String.valueOf(file.getFileName()), Files.readString(file), tokenizer);
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot read prompts: expected a readable file in UTF-8 (" + file + "). Check --prompts.", e);
        }
    }

    private static PromptSet parse(String name, String content, Tokenizer tokenizer) {
        List<int[]> all = new ArrayList<>();
        int number = 0;
        for (String line : content.split("\n", -1)) {
            number++;
            if (!line.isBlank()) {
                int[] ids = tokenizer.encode(text(name, number, line));
                if (ids.length > 0) {
                    all.add(ids);
                }
            }
        }
        if (all.isEmpty()) {
            throw new ConfigError("Cannot measure: expected prompts, got none (" + name + "). Check --prompts.");
        }
        return new PromptSet(name, all);
    }

    private static String text(String name, int number, String line) {
        try {
            JsonNode root = MAPPER.readTree(line);
            JsonNode prompt = root.has("body") ? root.get("body").path("prompt") : root.path("prompt");
            if (prompt.isTextual()) {
                return prompt.textValue();
            }
        } catch (JsonProcessingException e) {
            // Said below, without the text.
        }
        throw new ConfigError("Cannot read prompts: expected a JSON object with the text prompt in each line, got"
                + " another line (" + name + ":" + number + "). Correct the line.");
    }

    /** Ids for a model without tokenizer. */
    static PromptSet madeUp(int vocabulary) {
        List<int[]> all = new ArrayList<>();
        for (int p = 0; p < RANDOM_PROMPTS; p++) {
            int[] ids = new int[RANDOM_LENGTH];
            for (int i = 0; i < ids.length; i++) {
                ids[i] = (int) ((i * 7919L + p * 104_729L) % vocabulary);
            }
            all.add(ids);
        }
        return new PromptSet("made-up ids", all);
    }

    /** At least so many prompts, by going through them again; none longer than a limit, of which the end is kept. */
    List<int[]> atLeast(int count, int longest) {
        List<int[]> out = new ArrayList<>();
        for (int i = 0; i < Math.max(count, ids.size()); i++) {
            int[] prompt = ids.get(i % ids.size());
            int from = Math.max(0, prompt.length - longest);
            out.add(java.util.Arrays.copyOfRange(prompt, from, prompt.length));
        }
        return out;
    }
}
