package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.harness.HashChainLoader;
import dev.freshet.harness.SharedKafka;
import dev.freshet.model.Model;
import dev.freshet.model.TestModels;
import dev.freshet.operator.ModelLoader;
import dev.freshet.operator.ServedModel;
import dev.freshet.operator.StoredSequences;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenChunk;
import dev.freshet.wire.RecordType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The real job with a real model against a real broker: what do its topics hold after a failure, a crash and a stop? */
class StreamITCase {

    private static final int RECORDS = 500;
    private static final int PARTITIONS = 4;
    private static final int SLOTS = 8;
    private static final Duration POLL = Duration.ofMillis(100);
    private static final AtomicBoolean ARMED = new AtomicBoolean();
    private static final AtomicInteger STEPS = new AtomicInteger();

    @TempDir
    private static Path directory;

    @SuppressWarnings("NullAway.Init") // Filled before any test.
    private static Map<String, Completion> undisturbed;

    @BeforeAll
    static void runUndisturbed() throws Exception {
        TestModels.write(directory.resolve("model"), new TestModels.Shape("relu+", 400, 2, 16, 3, 512, 1));
        JobOptions options = options("quiet", 1, true);
        feed(options);
        finish(options, GenerateJob.model(options), 0);
        Topics topics = read(options);
        assertLawHolds(options, topics);
        undisturbed = topics.completions;
    }

    private static JobOptions options(String name, int parallelism, boolean bounded, String... more) {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("job.name", name);
        values.put("job.parallelism", String.valueOf(parallelism));
        values.put("kafka.bootstrap.servers", SharedKafka.bootstrapServers());
        values.put("model.directory", directory.resolve("model").toString());
        values.put("model.threads", "1");
        values.put("engine.slots", String.valueOf(SLOTS));
        values.put("input.topic", name + ".prompts");
        values.put("input.start", "earliest");
        values.put("input.bounded", String.valueOf(bounded));
        values.put("completions.topic", name + ".completions");
        values.put("metrics.topic", name + ".metrics");
        values.put("topics.partitions", String.valueOf(PARTITIONS));
        values.put("checkpoint.interval", "100 ms");
        values.put("checkpoint.directory", directory.resolve("checkpoints").toString());
        values.put("flink.restart-strategy.type", "fixed-delay");
        values.put("flink.restart-strategy.fixed-delay.delay", "10 ms");
        for (int i = 0; i < more.length; i += 2) {
            values.put(more[i], more[i + 1]);
        }
        return JobOptions.of(values);
    }

    private static void feed(JobOptions options) throws Exception {
        Preflight.run(options);
        try (PromptFeed feed = new PromptFeed(options)) {
            feed.send(Workload.records(RECORDS, options));
        }
    }

    private static LocalJob start(JobOptions options, ModelLoader model) throws Exception {
        return LocalJob.start(options, model, 0, directory);
    }

    /** Runs the job to the end of its input. */
    private static void finish(JobOptions options, ModelLoader model, int failures) throws Exception {
        try (LocalJob job = start(options, model)) {
            int restarts = 0;
            LocalJob.Phase before = LocalJob.Phase.STARTING;
            while (true) {
                LocalJob.Phase now = job.phase();
                if (now == LocalJob.Phase.RESTARTING && before != now) {
                    restarts++;
                }
                if (now == LocalJob.Phase.FAILED) {
                    throw new AssertionError(job.failure());
                }
                if (now == LocalJob.Phase.FINISHED) {
                    assertThat(restarts).isLessThanOrEqualTo(failures);
                    return;
                }
                before = now;
                Thread.sleep(20);
            }
        }
    }

    /** What the output topics hold for a reader of committed records. */
    private static final class Topics {
        final Map<String, Completion> completions = new HashMap<>();
        final Map<String, List<TokenChunk>> chunks = new HashMap<>();
        final List<TopicTail.Letter> letters = new ArrayList<>();
        int outcomes;

        void take(Object record) {
            if (record instanceof Completion completion) {
                completions.put(completion.getId(), completion);
                outcomes++;
            } else if (record instanceof TopicTail.Letter letter) {
                letters.add(letter);
                outcomes++;
            } else if (record instanceof TokenChunk chunk) {
                // What comes again replaces what came before from there on: a reader of chunks can rely on that.
                List<TokenChunk> seen = chunks.computeIfAbsent(chunk.getId(), id -> new ArrayList<>());
                seen.removeIf(old -> old.getTokenOffset() >= chunk.getTokenOffset());
                seen.add(chunk);
            }
        }

        String text(String id) {
            StringBuilder text = new StringBuilder();
            chunks.getOrDefault(id, List.of()).forEach(chunk -> text.append(chunk.getText()));
            return text.toString();
        }
    }

    private static Topics read(JobOptions options) throws Exception {
        return read(options, RECORDS);
    }

    private static Topics read(JobOptions options, int records) throws Exception {
        Topics topics = new Topics();
        try (TopicTail tail = new TopicTail(options, true)) {
            boolean all = false;
            for (int quiet = 0; quiet < 20 && !(all && quiet > 2); quiet++) {
                for (TopicTail.Item item : tail.poll(POLL)) {
                    topics.take(item.value());
                    quiet = 0;
                }
                all = topics.outcomes >= records;
            }
        }
        return topics;
    }

    private static void assertLawHolds(JobOptions options, Topics topics) {
        Verification law = TopicVerifier.verify(options, 10);
        assertThat(law.holds()).as("%s", law).isTrue();
        assertThat(law.inputs()).isEqualTo(RECORDS);
        assertThat(law.completions()).isEqualTo(RECORDS - Workload.bad(RECORDS));
        assertThat(law.errors() + law.deadLetters()).isEqualTo(Workload.bad(RECORDS));
        assertThat(law.errors()).isPositive();
        assertThat(law.deadLetters()).isEqualTo(topics.letters.size()).isPositive();
        assertThat(topics.letters)
                .extracting(TopicTail.Letter::code)
                .contains("BAD_JSON", "INVALID_UTF8")
                .doesNotContain("INTERNAL");
        assertThat(topics.outcomes).isEqualTo(RECORDS);
        topics.completions.forEach((id, completion) -> {
            if (topics.chunks.containsKey(id)) {
                assertThat(topics.text(id)).as(id).isEqualTo(completion.getText());
            }
        });
        assertThat(topics.chunks.size()).isGreaterThan(RECORDS / 4);
    }

    /** All of a completion that must not depend on the run. */
    private static Completion lasting(Completion completion) {
        Completion copy = Completion.newBuilder(completion).build();
        copy.setMetrics(null);
        copy.setCreated(0);
        copy.setSourceTopic(null);
        copy.setSourcePartition(null);
        copy.setSourceOffset(null);
        return copy;
    }

    private static void assertSameTexts(Topics topics) {
        assertThat(topics.completions.keySet())
                .filteredOn(id -> id.startsWith("r"))
                .hasSizeGreaterThan(RECORDS / 2);
        undisturbed.forEach((id, expected) -> {
            if (expected.getError() == null) {
                Completion found = Objects.requireNonNull(topics.completions.get(id), id);
                assertThat(lasting(found)).isEqualTo(lasting(expected));
            }
        });
    }

    @Test
    void aFailedTaskLosesNothingAndChangesNothing() throws Exception {
        JobOptions options = options("failing", 2, true);
        feed(options);
        STEPS.set(0);
        ARMED.set(true);
        String checkpoints = FlinkSettings.checkpoints(
                options, directory.resolve("checkpoints").toString());
        finish(options, new Failing(GenerateJob.model(options), 150, checkpoints), 10);
        assertThat(ARMED).as("the failure was injected").isFalse();
        Topics topics = read(options);
        assertLawHolds(options, topics);
        assertSameTexts(topics);
        assertThat(TopicVerifier.verify(options, 1).resumed())
                .as("resumed in the middle")
                .isPositive();
    }

    @Test
    void aCrashedAndAStoppedJobGoOnFromTheNewestCheckpoint() throws Exception {
        JobOptions options = options("stopping", 1, false);
        feed(options);
        ARMED.set(false);
        ModelLoader slow = new Failing(GenerateJob.model(options), Integer.MAX_VALUE, "");
        try (LocalJob job = start(options, slow)) {
            assertThat(job.resumedFrom()).isNull();
            awaitOutcomes(options, job, 60);
            // The cluster goes down under the job, and nobody told the job.
        }
        String savepoint;
        try (LocalJob job = start(options, slow)) {
            assertThat(job.resumedFrom()).contains("/chk-");
            awaitOutcomes(options, job, 200);
            savepoint = job.stop();
        }
        // Nothing is finished first: what is in flight goes with the savepoint.
        assertThat(StoredSequences.in(savepoint).sequences()).isGreaterThanOrEqualTo(SLOTS);
        try (LocalJob job = start(options, slow)) {
            assertThat(job.resumedFrom()).contains(savepoint.substring(savepoint.lastIndexOf('/')));
            awaitOutcomes(options, job, RECORDS);
            job.drain();
            assertThat(job.phase()).isEqualTo(LocalJob.Phase.FINISHED);
        }
        Topics topics = read(options);
        assertLawHolds(options, topics);
        assertSameTexts(topics);
        assertThat(TopicVerifier.verify(options, 1).resumed())
                .as("resumed in the middle")
                .isPositive();
    }

    private static Prompt turn(String id, List<Integer> tokens, String session) {
        return Prompt.newBuilder()
                .setId(id)
                .setPromptTokenIds(tokens)
                .setSessionId(session)
                .setMaxTokens(12L)
                .setSeed(5L)
                .setIgnoreEos(true)
                .setReturnTokenIds(true)
                .build();
    }

    private static void send(JobOptions options, List<Prompt> prompts) throws Exception {
        var encoder = options.input()
                .format()
                .encoder(RecordType.PROMPT, options.input().topic());
        try (PromptFeed feed = new PromptFeed(options)) {
            for (Prompt prompt : prompts) {
                feed.send(prompt.getSessionId(), List.of(encoder.encode(prompt)));
            }
        }
    }

    /** Sessions in RocksDB: a crash in the middle of their first turns, a stop and another parallelism before their second ones. */
    @Test
    void aConversationGoesOnWhereItEnded() throws Exception {
        int sessions = 12;
        JobOptions options = options("talking", 2, false, "conversations.enabled", "true", "state.backend", "rocksdb");
        Preflight.run(options);
        List<Prompt> first = new ArrayList<>();
        List<Prompt> second = new ArrayList<>();
        for (int s = 0; s < sessions; s++) {
            first.add(turn("first" + s, List.of(5 + s, 7, 9, 11), "s" + s));
            second.add(turn("second" + s, List.of(30 + s, 3), "s" + s));
        }
        ARMED.set(false);
        ModelLoader slow = new Failing(GenerateJob.model(options), Integer.MAX_VALUE, "");
        try (LocalJob job = start(options, slow)) {
            send(options, first);
            // The second turns of half of the sessions wait for the first ones, and the cluster goes down under all of
            // them.
            send(options, second.subList(0, sessions / 2));
            awaitOutcomes(options, job, 2);
        }
        try (LocalJob job = start(options, slow)) {
            awaitOutcomes(options, job, sessions + sessions / 2);
            job.stop();
        }
        JobOptions wider = options("talking", 3, false, "conversations.enabled", "true", "state.backend", "rocksdb");
        Map<String, Completion> answers;
        try (LocalJob job = start(wider, slow)) {
            assertThat(job.resumedFrom()).isNotNull();
            send(wider, second.subList(sessions / 2, sessions));
            awaitOutcomes(wider, job, 2 * sessions);
            answers = read(wider, 2 * sessions).completions;
            List<Prompt> whole = new ArrayList<>();
            for (int s = 0; s < sessions; s++) {
                List<Integer> tokens = new ArrayList<>(first.get(s).getPromptTokenIds());
                tokens.addAll(Objects.requireNonNull(answers.get("first" + s)).getTokenIds());
                tokens.addAll(second.get(s).getPromptTokenIds());
                Prompt one = turn("whole" + s, tokens, "unused");
                one.setSessionId(null);
                whole.add(one);
            }
            send(wider, whole);
            awaitOutcomes(wider, job, 3 * sessions);
            job.drain();
        }
        Map<String, Completion> all = read(wider, 3 * sessions).completions;
        for (int s = 0; s < sessions; s++) {
            Completion turn = Objects.requireNonNull(all.get("second" + s));
            Completion whole = Objects.requireNonNull(all.get("whole" + s));
            assertThat(turn.getError()).isNull();
            assertThat(turn.getTokenIds()).isEqualTo(whole.getTokenIds());
            assertThat(turn.getText()).isEqualTo(whole.getText());
            assertThat(turn.getUsage().getPromptTokens())
                    .isEqualTo(whole.getUsage().getPromptTokens());
            assertThat(turn.getUsage().getCachedTokens()).isEqualTo(15);
            assertThat(whole.getUsage().getCachedTokens()).isZero();
        }
        Verification law = TopicVerifier.verify(wider, 10);
        assertThat(law.holds()).as("%s", law).isTrue();
        assertThat(law.inputs()).isEqualTo(3 * sessions);
    }

    /**
     * One subtask has little to do and the other a long text. After the end of the input the process goes down, then one subtask
     * fails alone; the little one must wait for the other, checkpoints must go on, and the job must come to its end in spite of
     * transactions that last a quarter of an hour.
     */
    @Test
    @Timeout(120)
    void theTailOfABoundedJobIsCheckpointedAndEndsAfterRestarts() throws Exception {
        JobOptions options = options(
                "tail",
                2,
                true,
                "chunks.topic",
                "none",
                "metrics.topic",
                "none",
                "flink.jobmanager.execution.failover-strategy",
                "region");
        String checkpoints = FlinkSettings.checkpoints(
                options, directory.resolve("checkpoints").toString());
        int tokens = 1000;
        HashChainLoader chain = new HashChainLoader(3000, 1100);
        try (TestTopics topics = new TestTopics(options)) {
            for (int i = 0; i < 10; i++) {
                Prompt prompt = TestTopics.prompt("s" + i, "short");
                prompt.setMaxTokens(4L);
                topics.send(0, topics.encoded(prompt));
            }
            Prompt text = TestTopics.prompt("long", "long");
            text.setMaxTokens((long) tokens);
            text.setTemperature(0.0);
            text.setIgnoreEos(true);
            topics.send(1, topics.encoded(text));
            STEPS.set(0);
            ARMED.set(false);
            try (LocalJob job = start(options, new Failing(chain, Integer.MAX_VALUE, ""))) {
                while (STEPS.get() < 250 || RetainedCheckpoints.latest(checkpoints) == null) {
                    assertThat(job.phase()).isIn(LocalJob.Phase.STARTING, LocalJob.Phase.RUNNING);
                    Thread.sleep(5);
                }
            }
            assertThat(STEPS.get()).as("the text was in its middle").isLessThan(tokens - 300);
            ARMED.set(true);
            finish(options, new Failing(chain, STEPS.get() + 250, checkpoints), 1);
            assertThat(ARMED).as("the failure was injected").isFalse();
            // Without checkpoints in the tail the text would have begun again twice.
            assertThat(STEPS.get()).isLessThan(tokens + 300);
            Verification law = topics.verify();
            assertThat(law.holds()).as("%s", law).isTrue();
            assertThat(law.completions()).isEqualTo(11);
        }
        Completion read = Objects.requireNonNull(read(options, 11).completions.get("long"));
        assertThat(read.getText()).isEqualTo(HashChainLoader.expected("long", tokens));
        assertThat(read.getMetrics().getRecomputedTokens()).isZero();
        assertThat(read.getMetrics().getResumedFromCheckpoint()).isEqualTo(2);
    }

    private static void awaitOutcomes(JobOptions options, LocalJob job, int count) throws Exception {
        Topics topics = new Topics();
        try (TopicTail tail = new TopicTail(options, true)) {
            while (topics.outcomes < count) {
                tail.poll(POLL).forEach(item -> topics.take(item.value()));
                assertThat(job.phase()).isIn(LocalJob.Phase.STARTING, LocalJob.Phase.RUNNING);
            }
        }
    }

    /**
     * A model whose steps take two milliseconds and of which one fails, once in the process, when so many were made and a checkpoint
     * is complete.
     */
    private record Failing(ModelLoader inner, int steps, String checkpoints) implements ModelLoader {

        private static final long serialVersionUID = 1L;

        @Override
        public ServedModel load(int slots) {
            ServedModel served = inner.load(slots);
            Model model = served.model();
            Model failing = (Model) Proxy.newProxyInstance(
                    Model.class.getClassLoader(), new Class<?>[] {Model.class}, (proxy, method, arguments) -> {
                        if (method.getName().equals("forward")) {
                            LockSupport.parkNanos(2_000_000);
                            failOnce();
                        }
                        try {
                            return method.invoke(model, arguments);
                        } catch (InvocationTargetException e) {
                            throw e.getCause() == null ? e : e.getCause();
                        }
                    });
            return new ServedModel(
                    failing,
                    served.texts(),
                    served.endTokens(),
                    served.name(),
                    served.fingerprint(),
                    served.backend(),
                    served.release());
        }

        private void failOnce() {
            int made = STEPS.incrementAndGet();
            if (ARMED.get()
                    && made > steps
                    && RetainedCheckpoints.latest(checkpoints) != null
                    && ARMED.compareAndSet(true, false)) {
                throw new IllegalStateException("injected failure");
            }
        }
    }
}
