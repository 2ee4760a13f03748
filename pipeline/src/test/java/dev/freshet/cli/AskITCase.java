package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.job.ConfigFile;
import dev.freshet.job.EmbeddedKafka;
import dev.freshet.job.JobOptions;
import dev.freshet.job.LocalJob;
import dev.freshet.job.Preflight;
import dev.freshet.operator.HashChainModel;
import dev.freshet.operator.LetterTexts;
import dev.freshet.operator.ModelLoader;
import dev.freshet.operator.ServedModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Questions to a running job through its topics, as a user asks them. */
class AskITCase {

    /** Tokens of {@link LetterTexts}: the end, then the letters. */
    private static final int VOCABULARY = 27;

    private static final int END = 0;
    private static final int TOKENS = 6;

    @TempDir
    private Path directory;

    private static ServedModel model(int slots) {
        return new ServedModel(
                new HashChainModel(VOCABULARY, 1000, slots),
                new LetterTexts(),
                Set.of(END),
                "hash-chain",
                "none",
                "fake",
                () -> {});
    }

    private static int[] joined(int[] before, int[] more) {
        return IntStream.concat(Arrays.stream(before), Arrays.stream(more)).toArray();
    }

    private static int[] answer(int[] conversation) {
        return HashChainModel.continuation(conversation, TOKENS, VOCABULARY);
    }

    private static String ask(Path config, String... more) {
        Screen screen = new Screen();
        String[] fixed = {
            "ask", "--config", config.toString(), "--max-tokens", "" + TOKENS, "--temperature", "0", "--ignore-eos"
        };
        String[] all = Arrays.copyOf(fixed, fixed.length + more.length);
        System.arraycopy(more, 0, all, fixed.length, more.length);
        int status = screen.run(all);
        return status == 0 ? screen.out().strip() : screen.err();
    }

    @Test
    void aSessionGoesOnAndAnotherKnowsNothingOfIt() throws Exception {
        Path config = directory.resolve("job.yaml");
        try (EmbeddedKafka kafka = EmbeddedKafka.start(directory)) {
            Files.writeString(
                    config,
                    "kafka: {bootstrap.servers: '" + kafka.bootstrapServers() + "'}\n"
                            + "model: {directory: none}\n"
                            + "checkpoint: {interval: 200 ms}\n"
                            + "topics: {partitions: 2}\n"
                            + "conversations: {enabled: true}\n");
            JobOptions options = JobOptions.of(ConfigFile.read(config, Map.of()));
            Preflight.run(options);
            ModelLoader loader = AskITCase::model;
            try (LocalJob job = LocalJob.start(options, loader, 0, directory)) {
                int[] conversation = {};
                for (int turn = 0; turn < 3; turn++) {
                    String text = "turn" + (char) ('a' + turn);
                    int[] prompt = joined(conversation, LetterTexts.ids(text));
                    assertThat(ask(config, "--session", "fox", text)).isEqualTo(LetterTexts.text(answer(prompt)));
                    conversation = joined(prompt, answer(prompt));
                }
                assertThat(ask(config, "--session", "hen", "--session-end", "turna"))
                        .isEqualTo(LetterTexts.text(answer(LetterTexts.ids("turna"))));
                assertThat(job.phase()).isEqualTo(LocalJob.Phase.RUNNING);
            }
        }
    }
}
