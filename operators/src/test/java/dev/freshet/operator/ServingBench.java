package dev.freshet.operator;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.Header;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.util.clock.ManualClock;
import org.jspecify.annotations.Nullable;

/** A {@link Serving} over the hash-chain model, with its outputs in lists. */
final class ServingBench implements Outputs {

    static final String MODEL = "hash-chain";

    final ManualClock clock;
    final List<Outbound> outcomes = new ArrayList<>();
    final List<KeyedChunk> chunks = new ArrayList<>();
    final List<Metric> metrics = new ArrayList<>();
    final Serving serving;
    final CancelledIds cancelled = new CancelledIds();
    final HashChainModel chain;
    final Sessions sessions = new Sessions();
    private long offset;

    ServingBench(int slots) {
        this(options(slots), "fingerprint-1");
    }

    ServingBench(int slots, ManualClock clock) {
        this(options(slots), "fingerprint-1", null, clock);
    }

    ServingBench(OperatorOptions options, String fingerprint) {
        this(options, fingerprint, null);
    }

    ServingBench(OperatorOptions options, String fingerprint, @Nullable BlackBox blackBox) {
        this(options, fingerprint, blackBox, new ManualClock(1_000_000_000L));
    }

    private ServingBench(OperatorOptions options, String fingerprint, @Nullable BlackBox blackBox, ManualClock clock) {
        this.clock = clock;
        chain = new HashChainModel(LetterTexts.VOCABULARY, 200, options.slots());
        ServedModel model = new ServedModel(
                chain, new LetterTexts(), Set.of(LetterTexts.END), MODEL, fingerprint, "fake", () -> {});
        serving = new Serving(
                options,
                model,
                new Memory(new RecentIds(options.recentIds()), cancelled, sessions),
                blackBox,
                new UnregisteredMetricsGroup(),
                clock,
                this);
    }

    static OperatorOptions options(int slots) {
        return OperatorOptions.of("test", slots).withConversations(ConversationOptions.defaults());
    }

    /** Sessions that are never forgotten. */
    static final class Sessions implements SessionStore {

        final Map<String, Conversation> all = new HashMap<>();

        @Override
        public @Nullable Conversation get(String session) {
            return all.get(session);
        }

        @Override
        public void put(String session, Conversation conversation) {
            all.put(session, conversation);
        }

        @Override
        public void remove(String session) {
            all.remove(session);
        }
    }

    /** A request whose text is the model's most probable one. */
    static Prompt prompt(String id, String text, long maxTokens) {
        Prompt prompt = new Prompt();
        prompt.setId(id);
        prompt.setPrompt(text);
        prompt.setMaxTokens(maxTokens);
        prompt.setTemperature(0.0);
        prompt.setIgnoreEos(true);
        prompt.setLogitBias(List.of());
        prompt.setStop(List.of());
        prompt.setStopTokenIds(List.of());
        prompt.setSkipSpecialTokens(true);
        prompt.setMetadata(Map.of());
        return prompt;
    }

    /** The text that {@link #prompt} must get. */
    static String expected(String text, int maxTokens) {
        return LetterTexts.text(HashChainModel.continuation(LetterTexts.ids(text), maxTokens, LetterTexts.VOCABULARY));
    }

    Origin origin() {
        return new Origin("prompts", 0, offset++, 5, null, List.of(new Header("traceparent", new byte[] {1})));
    }

    void arrive(Prompt prompt) {
        byte[] value = prompt.toString().getBytes(java.nio.charset.StandardCharsets.UTF_8);
        Admission.Admitted admitted = serving.arrive(new Inbound.Prompt(prompt, value, origin()));
        if (admitted != null) {
            serving.submit(admitted);
        }
    }

    void cancel(String id) {
        serving.arrive(new Inbound.Cancel(id));
    }

    void step() {
        clock.advanceTime(Duration.ofMillis(10));
        serving.step();
    }

    void drain() {
        for (int i = 0; !serving.isIdle(); i++) {
            if (i > 10_000) {
                throw new IllegalStateException("The engine does not come to an end");
            }
            step();
        }
    }

    List<Completion> completions() {
        return outcomes.stream()
                .filter(Outbound.Completed.class::isInstance)
                .map(o -> ((Outbound.Completed) o).completion())
                .toList();
    }

    Completion completion(String id) {
        return completions().stream()
                .filter(c -> c.getId().equals(id))
                .findFirst()
                .orElseThrow();
    }

    List<DeadLetter> letters() {
        return outcomes.stream()
                .filter(Outbound.DeadLettered.class::isInstance)
                .map(o -> ((Outbound.DeadLettered) o).letter())
                .toList();
    }

    @Override
    public void outcome(Outbound outcome) {
        outcomes.add(outcome);
    }

    @Override
    public void chunk(KeyedChunk chunk) {
        chunks.add(chunk);
    }

    @Override
    public void metric(Metric metric) {
        metrics.add(metric);
    }
}
