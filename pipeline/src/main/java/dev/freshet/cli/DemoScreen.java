package dev.freshet.cli;

import dev.freshet.job.JobOptions;
import dev.freshet.job.TopicTail;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import dev.freshet.schema.RequestMetrics;
import java.nio.file.Path;
import java.util.Locale;

/** What the demo prints. Results go to standard output, and a status line to standard error where a person watches. */
final class DemoScreen {

    private static final int LONGEST_TEXT = 400;
    private static final int WIDTH = 100;
    private static final String INDENT = "    ";

    private final Terminal terminal;

    DemoScreen(Terminal terminal) {
        this.terminal = terminal;
    }

    /** Prints one fact about the set-up. */
    void fact(String name, String value) {
        line("%-12s %s".formatted(name, value));
    }

    void line(String text) {
        terminal.clearStatus();
        terminal.out().println(text);
    }

    /** Shows what is going on until the next line. */
    void status(String text) {
        if (terminal.errIsTerminal()) {
            terminal.status(text);
        }
    }

    /** Whether nobody reads the output any more. */
    boolean unread() {
        return terminal.out().checkError();
    }

    /** Prints a completion with the rate so far. */
    void completion(Completion c, String prompt, DemoTally tally) {
        line("");
        if (c.getError() != null) {
            line("%s  error %s (%d)"
                    .formatted(c.getId(), c.getError().getCode(), c.getError().getStatus()));
            wrapped(c.getError().getMessage());
            return;
        }
        RequestMetrics m = c.getMetrics();
        String times = m == null || m.getTimeToFirstTokenMs() == null || m.getGenerationTimeMs() == null
                ? ""
                : ", first after %.2f s, all after %.2f s"
                        .formatted(
                                m.getTimeToFirstTokenMs() / 1e3,
                                (m.getTimeToFirstTokenMs() + m.getGenerationTimeMs()) / 1e3);
        long tokens = c.getUsage() == null ? 0 : c.getUsage().getCompletionTokens();
        line("%s  %d tokens, ended by %s%s | so far %,.0f tokens/s"
                .formatted(c.getId(), tokens, c.getFinishReason(), times, tally.tokensPerSecond()));
        String text = plain(c.getText());
        wrapped((prompt.isEmpty() ? "" : plain(prompt) + " |")
                + (text.length() > LONGEST_TEXT ? text.substring(0, LONGEST_TEXT) + " ..." : text));
    }

    /** Prints a dead letter. */
    void letter(TopicTail.Letter letter, JobOptions options) {
        line("");
        line("%s-%d-%d  dead letter %s"
                .formatted(options.input().topic(), letter.partition(), letter.offset(), letter.code()));
        wrapped(letter.message());
    }

    /** Shows the latest metrics. */
    void progress(Metric m, int open) {
        status("%d running, %d waiting, %d without outcome, %,.0f tokens/s"
                .formatted(
                        m.getNumRequestsRunning(), m.getNumRequestsWaiting(), open, m.getGenerationTokensPerSecond()));
    }

    /** Prints the closing table. */
    void summary(DemoTally tally, JobOptions options) {
        JobOptions.Output output = options.output();
        line("");
        line("Summary");
        row(
                "prompts",
                "%,d records in %s"
                        .formatted(
                                tally.records(options.input().topic()),
                                options.input().topic()));
        row(
                "outcomes",
                "texts %,d and errors %,d in %s, dead letters %,d in %s, without outcome %,d"
                        .formatted(
                                tally.texts(),
                                tally.errors(),
                                output.completions().topic(),
                                tally.records(output.deadLetters()),
                                output.deadLetters(),
                                tally.open()));
        JobOptions.Target chunks = output.chunks();
        JobOptions.Target metrics = output.metrics();
        if (chunks != null && metrics != null) {
            row(
                    "beside",
                    "%,d records in %s, %,d in %s"
                            .formatted(
                                    tally.records(chunks.topic()),
                                    chunks.topic(),
                                    tally.records(metrics.topic()),
                                    metrics.topic()));
        }
        row("tokens", "%,d generated in %.2f s".formatted(tally.tokens(), tally.seconds()));
        row("tokens/s", "%,.0f, from the stamps of prompts and completions".formatted(tally.tokensPerSecond()));
        Metric own = tally.summary();
        if (own != null) {
            row(
                    "",
                    "%,.0f, by the job's own summary in the metrics topic"
                            .formatted(own.getGenerationTokensPerSecond()));
            row(
                    "slots",
                    "%d, %.0f %% taken in the mean step"
                            .formatted(own.getStateSlotsTotal(), 100 * own.getBatchOccupancy()));
        }
        row("first token", quantiles(tally::firstToken));
        row("completion", quantiles(tally::latency));
        row("speculation", speculation(tally.speculation()));
    }

    private void row(String name, String value) {
        line("  %-12s %s".formatted(name, value));
    }

    private static String quantiles(java.util.function.DoubleUnaryOperator seconds) {
        return "p50 %.2f s, p90 %.2f s, p99 %.2f s"
                .formatted(seconds.applyAsDouble(0.5), seconds.applyAsDouble(0.9), seconds.applyAsDouble(0.99));
    }

    private static String speculation(long[] counts) {
        return counts[0] == 0
                ? "no drafts"
                : String.format(
                        Locale.ROOT,
                        "%,d drafts, %,d of %,d drafted tokens accepted, %.2f tokens a verification",
                        counts[0],
                        counts[2],
                        counts[1],
                        1 + (double) counts[2] / counts[0]);
    }

    /** Prints how to use the topics from elsewhere. */
    void invitation(String bootstrap, JobOptions options, Path launcher) {
        String prompts = options.input().topic();
        String completions = options.output().completions().topic();
        line("");
        line("The job stays up; Ctrl-C ends it. With any Kafka client, for example Kafka's own:");
        line("  kafka-console-consumer.sh --bootstrap-server " + bootstrap + " --topic " + completions
                + " --from-beginning");
        line("  echo '{\"prompt\": \"The little fox\", \"max_tokens\": 60}' | kafka-console-producer.sh"
                + " --bootstrap-server " + bootstrap + " --topic " + prompts);
        line("Without one:");
        line("  " + launcher + " ask --bootstrap-servers " + bootstrap + " --max-tokens 60 \"The little fox\"");
    }

    /** Breaks a text into lines between words. */
    private void wrapped(String text) {
        StringBuilder row = new StringBuilder(INDENT);
        for (String word : text.split(" ", -1)) {
            if (row.length() > INDENT.length() && row.length() + word.length() + 1 > WIDTH) {
                line(row.toString());
                row = new StringBuilder(INDENT);
            }
            row.append(row.length() > INDENT.length() ? " " : "").append(word);
        }
        line(row.toString());
    }

    /** A model can write anything, so that what would move the cursor becomes a space. */
    private static String plain(String text) {
        return text.replaceAll("\\p{Cntrl}+", " ");
    }
}
