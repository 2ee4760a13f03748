package dev.freshet.job;

import dev.freshet.operator.Origin;
import dev.freshet.request.ConfigError;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.DeadLetterHeaders;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.Header;
import dev.freshet.wire.InboundHeaders;
import dev.freshet.wire.RecordChecksum;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordType;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.flink.util.clock.Clock;
import org.apache.flink.util.clock.SystemClock;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Checks from the topics alone whether every input of a job has exactly one outcome. It reads what is committed, up to where each
 * topic ended at the start; the outputs' ends are taken before the inputs', so that no outcome is met whose input is not.
 * Confined to one thread.
 */
public final class TopicVerifier {

    private static final Duration POLL = Duration.ofMillis(500);
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private final JobOptions options;
    private final Clock clock = SystemClock.getInstance();
    private final OutcomeLedger ledger;
    private final RecordDecoder<Completion> completions;
    private final RecordDecoder<Prompt> prompts;

    private TopicVerifier(JobOptions options, int listed) {
        this.options = options;
        this.ledger = new OutcomeLedger(options.input().topic(), listed);
        this.completions = options.output().completions().format().decoder(RecordType.COMPLETION);
        this.prompts = options.input().format().decoder(RecordType.PROMPT);
    }

    /**
     * Reads the topics of a job once, and its inputs twice when some have no outcome.
     *
     * @param listed positions named in each finding
     * @throws ConfigError when a topic does not exist
     * @throws IllegalStateException when a topic cannot be read to its end
     */
    public static Verification verify(JobOptions options, int listed) {
        return new TopicVerifier(options, listed).run();
    }

    private Verification run() {
        String input = options.input().topic();
        String letters = options.output().deadLetters();
        Set<String> answers = new LinkedHashSet<>();
        answers.add(options.output().completions().topic());
        answers.addAll(options.output().replyTopics());
        Set<String> outputs = new LinkedHashSet<>(answers);
        outputs.add(letters);
        List<String> notes = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(client(), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Range out = range(consumer, outputs);
            Range in = range(consumer, Set.of(input));
            out.first().forEach((partition, first) -> {
                if (first > 0) {
                    notes.add("The broker has deleted the records of " + partition + " before offset " + first
                            + ", so that outcomes which lay there count as missing.");
                }
            });
            in.first().forEach((partition, first) -> ledger.begin(partition.partition(), first));
            read(consumer, out, outcome -> {
                if (answers.contains(outcome.topic())) {
                    answer(outcome);
                } else {
                    letter(outcome);
                }
            });
            read(consumer, in, record -> enter(record, ledger::input));
            if (ledger.hasOpen()) {
                read(consumer, in, record -> enter(record, ledger::again));
            }
        }
        return ledger.close(notes);
    }

    private Map<String, Object> client() {
        Map<String, Object> client = new HashMap<>(options.kafka());
        client.put("isolation.level", "read_committed");
        client.put("enable.auto.commit", "false");
        client.put("auto.offset.reset", "none");
        client.remove("group.id");
        return client;
    }

    /** From where to where the partitions of topics are read. */
    private record Range(Map<TopicPartition, Long> first, Map<TopicPartition, Long> end) {

        long endOf(ConsumerRecord<byte[], byte[]> record) {
            return end.getOrDefault(new TopicPartition(record.topic(), record.partition()), 0L);
        }
    }

    private static Range range(KafkaConsumer<byte[], byte[]> consumer, Set<String> topics) {
        List<TopicPartition> partitions = new ArrayList<>();
        Map<String, List<PartitionInfo>> present = consumer.listTopics(PATIENCE);
        for (String topic : topics) {
            List<PartitionInfo> infos = present.get(topic);
            if (infos == null) {
                throw new ConfigError("Cannot verify the topics: expected the topic " + topic
                        + ", got none of that name. Correct the topic's option, or grant Describe on it.");
            }
            infos.forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
        }
        consumer.assign(partitions);
        return new Range(consumer.beginningOffsets(partitions, PATIENCE), consumer.endOffsets(partitions, PATIENCE));
    }

    private void read(
            KafkaConsumer<byte[], byte[]> consumer, Range range, Consumer<ConsumerRecord<byte[], byte[]>> take) {
        consumer.assign(range.end().keySet());
        // What was paused at the end of one look stays so for the next.
        consumer.resume(consumer.paused());
        range.first().forEach(consumer::seek);
        long position = -1;
        long lastProgress = clock.relativeTimeMillis();
        while (true) {
            List<TopicPartition> done = new ArrayList<>();
            long sum = 0;
            for (TopicPartition partition : consumer.assignment()) {
                long at = consumer.position(partition);
                sum += at;
                if (at >= range.end().getOrDefault(partition, 0L)) {
                    done.add(partition);
                }
            }
            if (done.size() == range.end().size()) {
                return;
            }
            if (sum > position) {
                position = sum;
                lastProgress = clock.relativeTimeMillis();
            } else if (clock.relativeTimeMillis() - lastProgress > PATIENCE.toMillis()) {
                throw new IllegalStateException("Cannot read the topics to their ends: expected a record within "
                        + PATIENCE.toSeconds() + " s, got none. Check the broker and its open transactions.");
            }
            consumer.pause(done);
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                if (record.offset() < range.endOf(record)) {
                    take.accept(record);
                }
            }
        }
    }

    private void answer(ConsumerRecord<byte[], byte[]> record) {
        String place = place(record);
        byte[] payload = record.value();
        Decoded<Completion> decoded = completions.decode(payload);
        if (!(decoded instanceof Decoded.Value<Completion> value) || payload == null) {
            ledger.corrupt(place, "unreadable");
            return;
        }
        Completion completion = value.value();
        List<Header> headers = OutcomePosition.headers(record);
        if (!RecordChecksum.matches(headers, record.topic(), completion.getId(), payload)) {
            ledger.corrupt(place, Header.last(headers, RecordChecksum.NAME) == null ? "no checksum" : "wrong checksum");
        }
        OutcomePosition source = OutcomePosition.ofAnswer(headers);
        if (source == null) {
            ledger.corrupt(place, "no source");
            return;
        }
        boolean error = completion.getError() != null;
        ledger.outcome(error ? OutcomeLedger.Kind.ERROR : OutcomeLedger.Kind.COMPLETION, source, place);
        if (source.topic().equals(options.input().topic())) {
            boolean resumed =
                    completion.getMetrics() != null && completion.getMetrics().getResumedFromCheckpoint() > 0;
            ledger.completed(OutcomeLedger.hash(utf8(completion.getId())), resumed, place);
        }
    }

    private void letter(ConsumerRecord<byte[], byte[]> record) {
        String place = place(record);
        List<Header> headers = OutcomePosition.headers(record);
        String id = Header.lastText(headers, DeadLetterHeaders.PREFIX + "request_id");
        byte[] payload = record.value() == null ? new byte[0] : record.value();
        if (!RecordChecksum.matches(headers, record.topic(), id == null ? "" : id, payload)) {
            ledger.corrupt(place, Header.last(headers, RecordChecksum.NAME) == null ? "no checksum" : "wrong checksum");
        }
        OutcomePosition source = OutcomePosition.ofLetter(headers);
        if (source == null) {
            ledger.corrupt(place, "no source");
            return;
        }
        ledger.outcome(OutcomeLedger.Kind.DEAD_LETTER, source, place);
    }

    /** One of the two ways in which an input is entered. */
    private interface Entry {
        void enter(int partition, long offset, long id, long content);
    }

    private void enter(ConsumerRecord<byte[], byte[]> record, Entry entry) {
        byte[] payload = record.value() == null ? new byte[0] : record.value();
        entry.enter(
                record.partition(),
                record.offset(),
                OutcomeLedger.hash(utf8(requestId(record))),
                OutcomeLedger.hash(payload));
    }

    /** The id as the job sees it; what cannot be decoded has none and repeats nothing, so that its position serves. */
    private String requestId(ConsumerRecord<byte[], byte[]> record) {
        Origin origin = PromptDeserializer.origin(record);
        if (!(prompts.decode(record.value()) instanceof Decoded.Value<Prompt> prompt)) {
            return origin.position();
        }
        String id = prompt.value().getId();
        return id == null || id.isBlank()
                ? InboundHeaders.fallbackId(origin.headers(), origin.topic(), origin.partition(), origin.offset())
                : id;
    }

    private static String place(ConsumerRecord<byte[], byte[]> record) {
        return record.topic() + "-" + record.partition() + "-" + record.offset();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
