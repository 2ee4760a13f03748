package dev.freshet.cli;

import dev.freshet.job.ConfigFile;
import dev.freshet.job.JobOptions;
import dev.freshet.job.PromptFeed;
import dev.freshet.job.TopicTail;
import dev.freshet.request.ConfigError;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenChunk;
import dev.freshet.wire.RecordType;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Sends one prompt to a running job through its topics and prints what comes back: a Kafka client for a machine without one. */
@Command(
        name = "ask",
        description = "Sends one prompt to a running job through its topics and prints the text as it grows.")
final class AskCommand implements Callable<Integer> {

    private static final Duration POLL = Duration.ofMillis(100);

    private final Terminal terminal;

    @Mixin
    private SamplingOption sampling = new SamplingOption();

    @Parameters(paramLabel = "PROMPT", description = "Text to continue.")
    private String prompt = "";

    @Option(names = "--config", paramLabel = "FILE", description = "Configuration of the job: its topics and formats.")
    private @Nullable Path config;

    @Option(names = "--bootstrap-servers", paramLabel = "HOST:PORT", description = "Kafka broker.")
    private @Nullable String bootstrap;

    @Option(
            names = "--timeout",
            paramLabel = "SECONDS",
            defaultValue = "60",
            description = "Longest wait for the answer. Default: ${DEFAULT-VALUE}.")
    private int timeout;

    @Option(
            names = "--session",
            paramLabel = "ID",
            description = "Conversation that the prompt continues, or opens; the job must keep conversations.")
    private @Nullable String session;

    @Option(names = "--session-end", description = "Has the job forget the session with the answer.")
    private boolean sessionEnd;

    AskCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Exception {
        Map<String, String> values = new LinkedHashMap<>();
        if (config != null) {
            values.putAll(ConfigFile.read(config, System.getenv()));
        }
        if (bootstrap != null) {
            values.put("kafka.bootstrap.servers", bootstrap);
        }
        // The topics are used without the model behind them.
        values.putIfAbsent("model.directory", "none");
        JobOptions options = JobOptions.of(values);
        String id = "ask-" + UUID.randomUUID();
        Prompt request = Prompt.newBuilder()
                .setId(id)
                .setPrompt(prompt)
                .setStream(options.output().chunks() != null)
                .setSessionId(session)
                .setSessionEnd(sessionEnd)
                .build();
        sampling.fill(request);
        byte[] value = options.input()
                .format()
                .encoder(RecordType.PROMPT, options.input().topic())
                .encode(request);
        try (TopicTail tail = new TopicTail(options, false);
                PromptFeed feed = new PromptFeed(options)) {
            feed.send(session, List.of(value));
            return await(tail, id);
        }
    }

    private int await(TopicTail tail, String id) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(timeout);
        StringBuilder printed = new StringBuilder();
        while (System.nanoTime() - deadline < 0) {
            for (TopicTail.Item item : tail.poll(POLL)) {
                if (item.value() instanceof TokenChunk chunk && chunk.getId().equals(id)) {
                    terminal.out().print(chunk.getText());
                    terminal.out().flush();
                    printed.append(chunk.getText());
                } else if (item.value() instanceof Completion completion
                        && completion.getId().equals(id)) {
                    return finish(completion, printed.toString());
                }
            }
        }
        throw new IllegalStateException("Cannot answer: expected a completion within " + timeout
                + " s, got none. Check that the job runs, or wait longer with --timeout.");
    }

    /** The completion is what counts: chunks may be missing, and they are no part of the transaction. */
    private int finish(Completion completion, String printed) {
        String text = completion.getText();
        terminal.out().println(text.startsWith(printed) ? text.substring(printed.length()) : "\n" + text);
        if (completion.getError() != null) {
            throw new ConfigError(completion.getError().getMessage());
        }
        return 0;
    }
}
