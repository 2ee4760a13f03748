package dev.freshet.operator;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * A process of {@link BlackBoxTest}: serves ten requests over the hash-chain model, which halts the process as soon as it runs the tokens
 * of {@link #POISON} one after the other. Like a job without a checkpoint it begins with the first request whenever it is started.
 */
final class PoisonProcess {

    static final int REQUESTS = 10;
    static final int TOKENS = 30;
    static final int DIED = 139;
    static final String POISON = "zap";

    private PoisonProcess() {}

    /**
     * Runs.
     *
     * @param arguments directory of the black box, file for outcomes, id of the poisonous request or none, milliseconds a step
     */
    public static void main(String[] arguments) throws IOException {
        Path outcomes = Path.of(arguments[1]);
        Files.writeString(outcomes, "");
        OperatorOptions options = ServingBench.options(4);
        try (BlackBox box = BlackBox.open(Path.of(arguments[0]), options.job(), 0, options.slots())) {
            ServingBench bench = new ServingBench(options, "fingerprint", box);
            long pause = Long.parseLong(arguments[3]) * 1_000_000;
            bench.chain.beforeForward(() -> LockSupport.parkNanos(pause));
            if (!arguments[2].equals("none")) {
                bench.chain.onToken(new Deadly());
            }
            for (int i = 0; i < REQUESTS; i++) {
                bench.arrive(ServingBench.prompt("r" + i, text(i, arguments[2]), TOKENS));
            }
            bench.drain();
            StringBuilder out = new StringBuilder();
            for (Completion c : bench.completions()) {
                out.append(c.getId()).append(' ').append(c.getText()).append('\n');
            }
            for (DeadLetter letter : bench.letters()) {
                out.append(letter.getRequestId())
                        .append(' ')
                        .append(letter.getCode())
                        .append('\n');
            }
            Files.writeString(outcomes, out, StandardCharsets.UTF_8, StandardOpenOption.TRUNCATE_EXISTING);
        }
    }

    /** Prompt of a request. */
    static String text(int i, String poison) {
        return "prompt" + (char) ('a' + i) + (poison.equals("r" + i) ? POISON : "b");
    }

    /** Halts the process at the last token of the poison. */
    private static final class Deadly implements IntConsumer {
        private final int[] poison = LetterTexts.ids(POISON);
        private int seen;

        @Override
        public void accept(int token) {
            seen = token == poison[seen] ? seen + 1 : token == poison[0] ? 1 : 0;
            if (seen == poison.length) {
                Runtime.getRuntime().halt(DIED);
            }
        }
    }
}
