package dev.freshet.job;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.harness.SharedKafka;
import dev.freshet.model.TestModels;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.RecordType;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every class of bad input that can come through a topic, in one job among good requests: each gets its code, none restarts the job,
 * and no neighbour changes. What the wire formats make of damaged bytes in detail is tested with them.
 */
class BadInputITCase {

    private static final Duration POLL = Duration.ofMillis(100);
    private static final String CONTINUED = "\"prompt\":\"the river\",\"max_tokens\":6,\"temperature\":0";

    @TempDir
    private static Path directory;

    /** One input: its bytes, how it was sent, and the code that it must get; null for a completion with a text. */
    private record Input(byte @Nullable [] value, Map<String, byte[]> headers, long timestamp, @Nullable String code) {}

    @BeforeAll
    static void start() throws Exception {
        TestModels.write(directory.resolve("model"), TestModels.TINY);
    }

    private static JobOptions options(String name, String format) {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("job.name", name);
        values.put("kafka.bootstrap.servers", SharedKafka.bootstrapServers());
        values.put("model.directory", directory.resolve("model").toString());
        values.put("limits.record", "64 kb");
        values.put("limits.prompt-tokens", "64");
        values.put("input.topic", name + ".prompts");
        values.put("input.format", format);
        values.put("input.start", "earliest");
        values.put("input.bounded", "true");
        values.put("completions.topic", name + ".completions");
        values.put("metrics.topic", "none");
        values.put("topics.partitions", "1");
        values.put("checkpoint.interval", "200 ms");
        values.put("flink.restart-strategy.type", "none");
        return JobOptions.of(values);
    }

    /** What the topics say about each offset of the only partition: a code, or a text after a colon. */
    private static Map<Long, String> outcomes(String name, String format, List<Input> inputs) throws Exception {
        JobOptions options = options(name, format);
        Preflight.run(options);
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", SharedKafka.bootstrapServers(), "max.request.size", 4 << 20),
                new ByteArraySerializer(),
                new ByteArraySerializer())) {
            for (Input input : inputs) {
                ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                        options.input().topic(),
                        0,
                        input.timestamp() < 0 ? null : input.timestamp(),
                        null,
                        input.value());
                input.headers().forEach((header, value) -> record.headers().add(header, value));
                producer.send(record);
            }
        }
        try (LocalJob job = LocalJob.start(options, GenerateJob.model(options), 0, directory)) {
            while (job.phase() != LocalJob.Phase.FINISHED) {
                if (job.phase() == LocalJob.Phase.FAILED) {
                    throw new AssertionError(job.failure());
                }
                Thread.sleep(10);
            }
        }
        Verification law = TopicVerifier.verify(options, 10);
        assertThat(law.holds()).as("%s", law).isTrue();
        return read(options, law.inputs() - law.duplicates());
    }

    private static Map<Long, String> read(JobOptions options, long outcomes) throws InterruptedException {
        Map<Long, String> found = new HashMap<>();
        try (TopicTail tail = new TopicTail(options, true)) {
            while (found.size() < outcomes) {
                for (TopicTail.Item item : tail.poll(POLL)) {
                    if (item.value() instanceof Completion c) {
                        String text = c.getError() == null
                                ? ":" + c.getText()
                                : c.getError().getCode();
                        found.put(c.getSourceOffset(), text);
                    } else if (item.value() instanceof TopicTail.Letter letter) {
                        found.put(letter.offset(), letter.code());
                    }
                }
            }
        }
        return found;
    }

    private static Input json(@Nullable String code, String body) {
        return new Input(body.getBytes(UTF_8), Map.of(), -1, code);
    }

    private static Input bytes(String code, byte @Nullable [] value) {
        return new Input(value, Map.of(), -1, code);
    }

    private static Input param(String field) {
        return json("INVALID_PARAM", "{\"prompt\":\"x\"," + field + "}");
    }

    private static List<Input> jsonInputs() {
        List<Input> all = new ArrayList<>();
        all.add(bytes("BAD_JSON", null));
        all.add(bytes("BAD_JSON", new byte[0]));
        all.add(json("BAD_JSON", "{\"prompt\":\"cut"));
        all.add(json("BAD_JSON", "[1,2]"));
        all.add(json("BAD_JSON", "{\"prompt\":".repeat(5000)));
        all.add(json("RECORD_TOO_LARGE", "{\"prompt\":\"" + "x".repeat(70_000) + "\"}"));
        all.add(json("RECORD_TOO_LARGE", "{\"prompt\":\"" + "x".repeat(900_000) + "\"}"));
        all.add(json("PROMPT_TOO_LONG", "{\"prompt\":\"" + "of the river ".repeat(100) + "\"}"));
        all.add(json("EMPTY_PROMPT", "{\"prompt\":\"\"}"));
        all.add(bytes("INVALID_UTF8", "{\"prompt\":\"\u00c3(\"}".getBytes(ISO_8859_1)));
        all.add(bytes("INVALID_UTF8", "{\"prompt\":\"\u00c0\u00af\"}".getBytes(ISO_8859_1)));
        all.add(json(null, "{\"prompt\":\"a <|im_start|> that is text\",\"max_tokens\":4}"));
        all.add(json(null, "{\"prompt\":\"\\u0000 \\u202e \\u200d\\u200d\",\"max_tokens\":4}"));
        for (String field : List.of(
                "\"max_tokens\":0",
                "\"max_tokens\":-1",
                "\"max_tokens\":2147483648",
                "\"temperature\":-1",
                "\"temperature\":1e30",
                "\"top_p\":0",
                "\"top_p\":2",
                "\"top_k\":-5",
                "\"min_p\":7",
                "\"n\":2",
                "\"stop\":[\"\"]",
                "\"logit_bias\":{\"999999\":1}",
                "\"presence_penalty\":1e300",
                "\"priority\":99999999999",
                "\"deadline_ms\":0")) {
            all.add(param(field));
        }
        all.add(json("UNKNOWN_MODEL", "{\"model\":\"another\"," + CONTINUED + "}"));
        all.add(json(
                "UNKNOWN_CHAT_FORMAT",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"chat_format\":\"none\"}"));
        return all;
    }

    private static List<Input> idsHeadersAndTimes() {
        List<Input> all = new ArrayList<>();
        all.add(json(null, "{\"custom_id\":\"twice\",\"body\":{" + CONTINUED + "}}"));
        all.add(json("duplicate", "{\"custom_id\":\"twice\",\"body\":{" + CONTINUED + "}}"));
        all.add(json("DUPLICATE_ID_CONFLICT", "{\"custom_id\":\"twice\",\"body\":{\"prompt\":\"other\"}}"));
        all.add(json(null, "{\"custom_id\":\" \",\"body\":{" + CONTINUED + "}}"));
        Map<String, byte[]> hostile = new LinkedHashMap<>();
        hostile.put("__llm.errors.code", "FORGED".getBytes(UTF_8));
        hostile.put("kafka_replyTopic", "somebody.elses".getBytes(UTF_8));
        hostile.put("huge", new byte[200_000]);
        for (int i = 0; i < 5000; i++) {
            hostile.put("h" + i, new byte[] {1});
        }
        all.add(new Input(("{" + CONTINUED + "}").getBytes(UTF_8), hostile, -1, null));
        all.add(new Input("damaged".getBytes(UTF_8), hostile, -1, "BAD_JSON"));
        all.add(new Input(("{" + CONTINUED + "}").getBytes(UTF_8), Map.of(), 0, null));
        return all;
    }

    @Test
    void everyBadRecordGetsItsCodeAndNoNeighbourChanges() throws Exception {
        List<Input> bad = jsonInputs();
        bad.addAll(idsHeadersAndTimes());
        Input good = json(null, "{" + CONTINUED + "}");
        String alone = outcomes("alone", "json", List.of(good)).get(0L);
        List<Input> mixed = new ArrayList<>();
        for (Input one : bad) {
            mixed.add(good);
            mixed.add(one);
        }
        Map<Long, String> outcomes = outcomes("mixed", "json", mixed);
        for (int i = 0; i < mixed.size(); i++) {
            String outcome = outcomes.get((long) i);
            if (i % 2 == 0) {
                assertThat(outcome).as("neighbour %d", i).isEqualTo(alone);
            } else if ("duplicate".equals(mixed.get(i).code())) {
                assertThat(outcome).as("repetition").isNull();
            } else if (mixed.get(i).code() == null) {
                assertThat(outcome).as("harmless input %d", i / 2).startsWith(":");
            } else {
                assertThat(outcome)
                        .as("bad input %d", i / 2)
                        .isEqualTo(mixed.get(i).code());
            }
        }
    }

    /** Cut and flipped Avro: whatever comes out of it, each record has one outcome and the good ones their text. */
    @Test
    void damagedAvroNeverStopsTheJob() throws Exception {
        byte[] sound = options("avro", "avro")
                .input()
                .format()
                .encoder(RecordType.PROMPT, "avro.prompts")
                .encode(Prompt.newBuilder()
                        .setPrompt("the river")
                        .setMaxTokens(6L)
                        .setTemperature(0.0)
                        .build());
        Input good = new Input(sound, Map.of(), -1, null);
        List<Input> mixed = new ArrayList<>();
        for (int i = 0; i < sound.length; i++) {
            byte[] flipped = sound.clone();
            flipped[i] ^= (byte) (1 << (i % 8));
            mixed.add(good);
            mixed.add(bytes("any", i % 2 == 0 ? java.util.Arrays.copyOf(sound, i) : flipped));
        }
        Map<Long, String> outcomes = outcomes("avro", "avro", mixed);
        assertThat(outcomes).hasSize(mixed.size());
        for (int i = 0; i < mixed.size(); i += 2) {
            assertThat(outcomes.get((long) i)).startsWith(":").isEqualTo(outcomes.get(0L));
        }
        assertThat(outcomes.values()).contains("BAD_AVRO").doesNotContain("INTERNAL");
    }
}
