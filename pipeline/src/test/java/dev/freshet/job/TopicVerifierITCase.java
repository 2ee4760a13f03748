package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.harness.SharedKafka;
import dev.freshet.operator.Origin;
import dev.freshet.request.ConfigError;
import dev.freshet.schema.Failure;
import dev.freshet.wire.FakeRegistry;
import dev.freshet.wire.RecordChecksum;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Good topics pass, and each kind of fault in a topic is named with its place. */
class TopicVerifierITCase {

    private static final Failure FAILURE = new Failure("INVALID_PARAM", "top_p", "Wrong.", 400);
    private static final AtomicInteger NUMBER = new AtomicInteger();

    private static TestTopics topics(Map<String, String> more) throws Exception {
        int number = NUMBER.incrementAndGet();
        Map<String, String> values = new HashMap<>(Map.of(
                "kafka.bootstrap.servers",
                SharedKafka.bootstrapServers(),
                "model.directory",
                "none",
                "input.topic",
                "law.prompts" + number,
                "completions.topic",
                "law.completions" + number));
        values.putAll(more);
        return new TestTopics(JobOptions.of(values));
    }

    /** Six inputs with an outcome each, of every kind. */
    private static void fillWell(TestTopics topics) throws Exception {
        byte[] repeated = topics.encoded(TestTopics.prompt("a", "one"));
        topics.write(topics.answer(topics.send(0, repeated), "a", null));
        topics.write(topics.answer(topics.send(1, topics.encoded(TestTopics.prompt("b", "two"))), "b", FAILURE));
        Origin nameless = topics.send(1, topics.encoded(TestTopics.prompt(null, "three")));
        topics.write(topics.answer(nameless, nameless.position(), null));
        byte[] garbage = {'{', 1, 2};
        topics.write(topics.letter(topics.send(0, garbage), garbage, null));
        topics.write(topics.letter(topics.send(0, null), null, null));
        topics.send(1, repeated);
    }

    @ParameterizedTest
    @ValueSource(strings = {"json", "avro", "avro-registry"})
    void theLawHoldsInEveryFormat(String format) throws Exception {
        try (FakeRegistry registry = new FakeRegistry();
                TestTopics topics = topics(Map.of(
                        "input.format", format,
                        "completions.format", format,
                        "registry.url", registry.address().toString()))) {
            fillWell(topics);
            Verification v = topics.verify();
            assertThat(v.holds()).as(v.toString()).isTrue();
            assertThat(List.of(v.inputs(), v.completions(), v.errors(), v.deadLetters(), v.duplicates(), v.resumed()))
                    .containsExactly(6L, 2L, 1L, 2L, 1L, 3L);
        }
    }

    @Test
    void aDuplicateIsFoundWhenPartitionsEndAtDifferentTimes() throws Exception {
        try (TestTopics topics = topics(Map.of("kafka.max.poll.records", "50"))) {
            byte[] repeated = topics.encoded(TestTopics.prompt("a", "one"));
            topics.write(topics.answer(topics.send(0, repeated), "a", null));
            topics.send(0, repeated);
            byte[] garbage = {'{'};
            for (int i = 0; i < 110; i++) {
                topics.write(topics.letter(topics.send(1, garbage), garbage, null));
            }
            Verification v = topics.verify();
            assertThat(v.holds()).as(v.toString()).isTrue();
            assertThat(v.duplicates()).isEqualTo(1);
        }
    }

    @Test
    void missingInputsAreNamed() throws Exception {
        try (TestTopics topics = topics(Map.of())) {
            fillWell(topics);
            Origin lost = topics.send(1, topics.encoded(TestTopics.prompt("lost", "text")));
            Verification v = topics.verify();
            assertThat(v.missing()).isEqualTo(new Verification.Finding(1, List.of(lost.position())));
            assertThat(v.holds()).isFalse();
        }
    }

    @Test
    void aCompletionThatComesAgainIsNamed() throws Exception {
        try (TestTopics topics = topics(Map.of())) {
            Origin origin = topics.send(0, topics.encoded(TestTopics.prompt("a", "one")));
            topics.write(topics.answer(origin, "a", null));
            String again = topics.write(topics.answer(origin, "a", null));
            Verification v = topics.verify();
            assertThat(v.twice().first())
                    .containsExactly(
                            "input " + origin.position() + " again at " + again, "request id again at " + again);
            assertThat(v.holds()).isFalse();
        }
    }

    @Test
    void damagedAndForeignOutcomesAreNamed() throws Exception {
        try (TestTopics topics = topics(Map.of())) {
            Origin origin = topics.send(0, topics.encoded(TestTopics.prompt("a", "one")));
            ProducerRecord<byte[], byte[]> good = topics.answer(origin, "a", null);
            String changedText = new String(good.value(), StandardCharsets.UTF_8).replace("a text", "a test");
            String changed = topics.write(TestTopics.withPayload(good, changedText.getBytes(StandardCharsets.UTF_8)));
            Origin second = topics.send(0, topics.encoded(TestTopics.prompt("b", "two")));
            String bare = topics.write(TestTopics.without(topics.answer(second, "b", null), RecordChecksum.NAME));
            String unreadable = topics.write(TestTopics.withPayload(good, new byte[] {1}));
            byte[] garbage = {'{'};
            Origin third = topics.send(0, garbage);
            String letter = topics.write(TestTopics.withPayload(topics.letter(third, garbage, null), new byte[] {'['}));
            Verification v = topics.verify();
            assertThat(v.corrupt().first())
                    .containsExactlyInAnyOrder(
                            changed + " (wrong checksum)",
                            bare + " (no checksum)",
                            unreadable + " (unreadable)",
                            letter + " (wrong checksum)");
            assertThat(v.missing().count()).isZero();
            assertThat(v.holds()).isFalse();
        }
    }

    @Test
    void anOutcomeInTheWrongTopicHasTheWrongChecksum() throws Exception {
        try (TestTopics topics = topics(Map.of());
                TestTopics others = topics(Map.of())) {
            Origin origin = topics.send(0, topics.encoded(TestTopics.prompt("a", "one")));
            topics.write(topics.answer(origin, "a", null));
            ProducerRecord<byte[], byte[]> right = topics.answer(origin, "a", null);
            String strayed = topics.write(new ProducerRecord<>(
                    others.options.output().completions().topic(),
                    null,
                    null,
                    right.key(),
                    right.value(),
                    right.headers()));
            assertThat(topics.verify().holds()).isTrue();
            Verification v = others.verify();
            assertThat(v.corrupt().first()).containsExactly(strayed + " (wrong checksum)");
            assertThat(v.otherSources()).isEqualTo(1);
        }
    }

    @Test
    void anOutcomeOfAnInputThatNeverWasIsNamed() throws Exception {
        try (TestTopics topics = topics(Map.of())) {
            Origin origin = topics.send(0, topics.encoded(TestTopics.prompt("a", "one")));
            topics.write(topics.answer(origin, "a", null));
            Origin invented = new Origin(origin.topic(), 1, 7, 0, null, List.of());
            topics.write(topics.answer(invented, "b", null));
            assertThat(topics.verify().unknown().first()).containsExactly(invented.position());
        }
    }

    @Test
    void whatIsNotCommittedDoesNotCount() throws Exception {
        try (TestTopics topics = topics(Map.of())) {
            Origin origin = topics.send(0, topics.encoded(TestTopics.prompt("a", "one")));
            Map<String, Object> client = Map.of(
                    "bootstrap.servers", SharedKafka.bootstrapServers(), "transactional.id", "a-" + NUMBER.get());
            try (KafkaProducer<byte[], byte[]> producer =
                    new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer())) {
                producer.initTransactions();
                producer.beginTransaction();
                producer.send(topics.answer(origin, "a", null)).get();
                assertThat(topics.verify().missing().count()).isEqualTo(1);
                producer.abortTransaction();
                assertThat(topics.verify().missing().count()).isEqualTo(1);
                producer.beginTransaction();
                producer.send(topics.answer(origin, "a", null)).get();
                producer.commitTransaction();
            }
            assertThat(topics.verify().holds()).isTrue();
        }
    }

    @Test
    void refusesTopicsThatDoNotExist() {
        JobOptions options = JobOptions.of(Map.of(
                "kafka.bootstrap.servers", SharedKafka.bootstrapServers(),
                "model.directory", "none",
                "input.topic", "nowhere"));
        assertThatThrownBy(() -> TopicVerifier.verify(options, 10))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("expected the topic");
    }
}
