package dev.freshet.cli;

import dev.freshet.engine.Perplexity;
import dev.freshet.model.Decoder;
import dev.freshet.model.DecoderOptions;
import dev.freshet.model.ModelDirectory;
import dev.freshet.request.ConfigError;
import dev.freshet.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.Callable;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Measures how well a model predicts a text. */
@Command(
        name = "evaluate",
        description =
                "Perplexity of a text under a model: with the state carried over the whole text, or with windows.")
final class EvaluateCommand implements Callable<Integer> {

    private static final int NOTE_EVERY = 2_000;

    /** Characters encoded at once. */
    private static final int PIECE = 1 << 19;

    private final Terminal terminal;

    @Mixin
    private ModelOption model = new ModelOption();

    @Option(names = "--text", required = true, paramLabel = "FILE", description = "Text in UTF-8.")
    private Path text = Path.of("");

    @Option(
            names = "--window",
            paramLabel = "N",
            defaultValue = "0",
            description =
                    "Tokens each prediction may look at, in windows that overlap by half; 0 carries the state over the whole"
                            + " text, where the model's context allows it. Default: 0.")
    private int window;

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "0",
            description = "Evaluate the first N tokens alone; 0 for all. Default: 0.")
    private int limit;

    EvaluateCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        Path directory = model.directory();
        String content = read(text);
        try (ModelDirectory opened = ModelDirectory.open(directory);
                Tokenizer tokenizer = Tokenizer.load(directory)) {
            int[] ids = encode(tokenizer, content);
            int count = limit > 0 ? Math.min(limit, ids.length) : ids.length;
            if (count < 2) {
                throw new ConfigError("Cannot evaluate: expected a text of at least 2 tokens, got " + count + " ("
                        + text + "). Give a longer text.");
            }
            int[] used = Arrays.copyOf(ids, count);
            DecoderOptions options = new DecoderOptions(1, 64, 64, model.context(), model.weights());
            try (Decoder decoder = model.load(opened, model.openKernels(), options, terminal)) {
                report(content, ids.length, used, decoder);
            }
        }
        return 0;
    }

    private void report(String content, int all, int[] ids, Decoder decoder) {
        int span = window > 0 ? window : ids.length > decoder.contextLength() ? decoder.contextLength() : 0;
        if (span > decoder.contextLength() || span == 1) {
            throw new ConfigError("Cannot evaluate: --window expected from 2 to the context of the model "
                    + decoder.contextLength() + ", got " + span + ".");
        }
        if (window == 0 && span > 0) {
            terminal.note("The text has " + ids.length + " tokens, the model's context ends at "
                    + decoder.contextLength() + ": using windows of that size.");
        }
        long start = System.nanoTime();
        LongConsumer progress = progress(ids.length - 1, start);
        Perplexity.Result result = span == 0
                ? Perplexity.streaming(decoder, ids, progress)
                : Perplexity.windowed(decoder, ids, span, progress);
        terminal.clearStatus();
        double seconds = (System.nanoTime() - start) / 1e9;
        double share = (double) ids.length / all;
        double bytes = content.getBytes(StandardCharsets.UTF_8).length * share;
        terminal.out().printf("%-22s %s%n", "context", span == 0 ? "whole text, state carried" : "windows of " + span);
        terminal.out().printf("%-22s %,d%n", "tokens", result.tokens());
        terminal.out().printf("%-22s %.4f%n", "perplexity", result.perplexity());
        terminal.out().printf("%-22s %.4f%n", "nats per token", Math.log(result.perplexity()));
        terminal.out().printf("%-22s %.4f%n", "bits per byte", result.negativeLogLikelihood() / Math.log(2) / bytes);
        terminal.out().printf("%-22s %.2f %%%n", "next token accuracy", 100 * result.accuracy());
        terminal.out().printf("%-22s %.0f%n", "tokens/s", result.tokens() / seconds);
    }

    private LongConsumer progress(int total, long start) {
        long[] noted = {0};
        return done -> {
            if (terminal.errIsTerminal() && done - noted[0] >= NOTE_EVERY) {
                noted[0] = done;
                double rate = done / ((System.nanoTime() - start) / 1e9);
                terminal.status("%,d of %,d tokens, %.0f tokens/s, %.0f s left"
                        .formatted(done, total, rate, (total - done) / rate));
            }
        };
    }

    /** Encodes a text of any length in pieces that end at line ends; the model's begin token stands before the first alone. */
    private static int[] encode(Tokenizer tokenizer, String content) {
        IntStream.Builder ids = IntStream.builder();
        int at = 0;
        while (at < content.length()) {
            int end = Math.min(content.length(), at + PIECE);
            int line = end < content.length() ? content.lastIndexOf('\n', end - 1) : -1;
            end = line > at ? line + 1 : end;
            String piece = content.substring(at, end);
            Arrays.stream(at == 0 ? tokenizer.encode(piece) : tokenizer.encodeText(piece))
                    .forEach(ids::add);
            at = end;
        }
        return ids.build().toArray();
    }

    private static String read(Path file) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(Files.readAllBytes(file)))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new ConfigError(
                    "Cannot read the text: expected UTF-8, got other bytes (" + file + "). Convert the file.", e);
        } catch (IOException e) {
            throw new ConfigError("Cannot read the text: no readable file (" + file + "). Check --text.", e);
        }
    }
}
