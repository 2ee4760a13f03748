package dev.freshet.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.job.ConfigFile;
import dev.freshet.job.JobOptions;
import dev.freshet.job.TopicVerifier;
import dev.freshet.job.Verification;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Proves from the topics that nothing was lost and nothing came twice. */
@Command(
        name = "verify-topics",
        description = {
            "Checks from a job's topics alone that each prompt has exactly one outcome.",
            "Exit status 0 only when inputs = completions + errors + dead letters + duplicates, and every checksum fits."
        })
final class VerifyTopicsCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Option(names = "--config", paramLabel = "FILE", description = "Configuration of the job: its topics and formats.")
    private @Nullable Path config;

    @Option(names = "--bootstrap-servers", paramLabel = "HOST:PORT", description = "Kafka broker.")
    private @Nullable String bootstrap;

    @Option(names = "--prompts", paramLabel = "TOPIC", description = "Topic with prompts; prompts without.")
    private @Nullable String prompts;

    @Option(names = "--completions", paramLabel = "TOPIC", description = "Topic with answers; completions without.")
    private @Nullable String completions;

    @Option(names = "--reply-topics", paramLabel = "TOPICS", description = "More topics with answers, comma-separated.")
    private @Nullable String replyTopics;

    @Option(names = "--dead-letters", paramLabel = "TOPIC", description = "Topic with dead letters.")
    private @Nullable String deadLetters;

    @Option(names = "--prompts-format", paramLabel = "FORMAT", description = "json, avro or avro-registry.")
    private @Nullable String promptsFormat;

    @Option(names = "--completions-format", paramLabel = "FORMAT", description = "json, avro or avro-registry.")
    private @Nullable String completionsFormat;

    @Option(names = "--registry", paramLabel = "URL", description = "Schema registry of avro-registry.")
    private @Nullable String registry;

    @Option(
            names = "--list",
            paramLabel = "N",
            defaultValue = "20",
            description = "Positions named of each kind of fault; ${DEFAULT-VALUE} without.")
    private int listed;

    @Option(names = "--json", description = "Writes one JSON object.")
    private boolean json;

    VerifyTopicsCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws JsonProcessingException {
        return report(TopicVerifier.verify(JobOptions.of(values()), Math.max(0, listed)), json);
    }

    /** Writes what was found and returns the exit status. */
    int report(Verification result, boolean asJson) throws JsonProcessingException {
        if (asJson) {
            terminal.out().println(toJson(result));
        } else {
            print(result);
        }
        return result.holds() ? 0 : Freshet.FAILED;
    }

    private Map<String, String> values() {
        Map<String, String> values = new LinkedHashMap<>();
        if (config != null) {
            values.putAll(ConfigFile.read(config, System.getenv()));
        }
        // The topics are checked without the model that filled them.
        values.putIfAbsent("model.directory", "none");
        put(values, "kafka.bootstrap.servers", bootstrap);
        put(values, "input.topic", prompts);
        put(values, "completions.topic", completions);
        put(values, "completions.reply-topics", replyTopics);
        put(values, "dead-letters.topic", deadLetters);
        put(values, "input.format", promptsFormat);
        put(values, "completions.format", completionsFormat);
        put(values, "registry.url", registry);
        return values;
    }

    private static void put(Map<String, String> values, String key, @Nullable String value) {
        if (value != null) {
            values.put(key, value);
        }
    }

    private void print(Verification v) {
        line("inputs", v.inputs());
        line("completions", v.completions());
        line("  resumed", v.resumed());
        line("errors", v.errors());
        line("dead letters", v.deadLetters());
        line("duplicates", v.duplicates());
        if (v.otherSources() > 0) {
            line("other sources", v.otherSources());
        }
        if (v.expired() > 0) {
            line("of deleted inputs", v.expired());
        }
        print("missing", v.missing());
        print("twice", v.twice());
        print("corrupt", v.corrupt());
        print("unknown inputs", v.unknown());
        v.notes().forEach(note -> terminal.out().println(note));
        terminal.out()
                .println(
                        v.holds()
                                ? "The law holds: inputs = completions + errors + dead letters + duplicates."
                                : "The law is broken. A job that still runs owes the missing ones: drain it, then check"
                                        + " again.");
    }

    private void print(String name, Verification.Finding finding) {
        line(name, finding.count());
        finding.first().forEach(place -> terminal.out().println("    " + place));
        if (finding.count() > finding.first().size()) {
            terminal.out()
                    .printf(
                            "    and %,d more%n",
                            finding.count() - finding.first().size());
        }
    }

    private void line(String name, long count) {
        terminal.out().printf("%-18s %,12d%n", name, count);
    }

    private static String toJson(Verification v) throws JsonProcessingException {
        ObjectMapper mapper = new ObjectMapper();
        ObjectNode node = mapper.valueToTree(v);
        node.put("holds", v.holds());
        return mapper.writeValueAsString(node);
    }
}
