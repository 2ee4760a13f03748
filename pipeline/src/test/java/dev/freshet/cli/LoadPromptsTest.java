package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoadPromptsTest {

    private static final Path MODEL = Path.of(System.getProperty("freshet.root", ".."), "models/freshet-tiny");

    @TempDir
    private Path folder = Path.of("");

    @Test
    void promptsHaveTheirNumberOfTokensAndComeAgain() {
        try (Tokenizer tokenizer = Tokenizer.load(MODEL)) {
            LoadPrompts prompts = LoadPrompts.of(tokenizer, null, 5);
            LoadPrompts again = LoadPrompts.of(tokenizer, null, 5);
            Set<String> seen = new HashSet<>();
            for (int i = 0; i < 60; i++) {
                int tokens = 3 + i * i;
                String prompt = prompts.make(i, tokens);
                assertThat(tokenizer.encode(prompt)).hasSize(tokens);
                assertThat(again.make(i, tokens)).isEqualTo(prompt);
                seen.add(prompt);
            }
            assertThat(seen).hasSize(60);
            assertThat(LoadPrompts.of(tokenizer, null, 6).make(50, 40)).isNotEqualTo(prompts.make(50, 40));
            assertThat(tokenizer.encode(prompts.make(0, 1)).length).isBetween(1, 4);
        }
    }

    @Test
    void aTextGivesItsWordsInTheirOrder() throws IOException {
        String words = "The little fox ran through the wood, and nobody saw it but the old woman with the lantern. ";
        Path text = Files.writeString(folder.resolve("text"), words.repeat(40));
        try (Tokenizer tokenizer = Tokenizer.load(MODEL)) {
            LoadPrompts prompts = LoadPrompts.of(tokenizer, text, 5);
            for (int i = 0; i < 20; i++) {
                String prompt = prompts.make(i, 60);
                assertThat(words.repeat(41)).contains(prompt);
                assertThat(tokenizer.encode(prompt).length).isBetween(55, 65);
            }
        }
    }
}
