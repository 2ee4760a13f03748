package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.RecordHeader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

class HeadersTest {

    private static final DeadLetterHeaders DEAD = new DeadLetterHeaders("generate", "llm", 2, "0.1.0", "ab12");
    private static final OutputHeaders OUT = new OutputHeaders(true, "/freshet/generate", "application/json", Set.of());
    private static final byte[] PAYLOAD = "payload".getBytes(StandardCharsets.UTF_8);

    private static @Nullable String text(List<Header> headers, String name) {
        return Header.lastText(headers, name);
    }

    private static List<String> names(List<Header> headers) {
        return headers.stream().map(Header::name).toList();
    }

    @Nested
    class DeadLetters {

        private static List<Header> of(Header... inbound) {
            DeadLetter letter = Samples.deadLetter();
            letter.setHeaders(List.of(inbound).stream()
                    .map(h -> new RecordHeader(h.name(), h.value() == null ? null : ByteBuffer.wrap(h.value())))
                    .toList());
            return DEAD.of(letter);
        }

        @Test
        void originalHeadersComeFirstAndUnchanged() {
            Header binary = new Header("b", new byte[] {0, -1, 7});
            Header none = new Header("n", null);
            assertThat(of(binary, none, binary)).startsWith(binary, none, binary);
        }

        @Test
        void refusalIsReadableForOurToolsAndForConnects() {
            List<Header> all = of();
            assertThat(text(all, "__llm.errors.code")).isEqualTo("INVALID_PARAM");
            assertThat(text(all, "__llm.errors.stage")).isEqualTo("validate");
            assertThat(text(all, "__llm.errors.topic")).isEqualTo("prompts");
            assertThat(text(all, "__llm.errors.partition")).isEqualTo("3");
            assertThat(text(all, "__llm.errors.offset")).isEqualTo("77");
            assertThat(text(all, "__llm.errors.field")).isEqualTo("top_p");
            assertThat(text(all, "__llm.errors.request_id")).isEqualTo("r-1");
            assertThat(text(all, "__llm.errors.schema_id")).isEqualTo("12");
            assertThat(text(all, "__llm.errors.attempt")).isEqualTo("2");
            assertThat(text(all, "__llm.errors.retryable")).isEqualTo("true");
            assertThat(text(all, "__llm.errors.exception.class")).isEqualTo("java.io.EOFException");
            assertThat(text(all, "__llm.errors.orig_length")).isEqualTo("2000000");
            assertThat(text(all, "__llm.errors.job")).isEqualTo("generate");
            assertThat(text(all, "__llm.errors.operator_uid")).isEqualTo("llm");
            assertThat(text(all, "__llm.errors.subtask")).isEqualTo("2");
            assertThat(text(all, "__llm.errors.app_version")).isEqualTo("0.1.0");
            assertThat(text(all, "__llm.errors.model_sha256")).isEqualTo("ab12");
            assertThat(text(all, "__connect.errors.topic")).isEqualTo("prompts");
            assertThat(text(all, "__connect.errors.partition")).isEqualTo("3");
            assertThat(text(all, "__connect.errors.offset")).isEqualTo("77");
            assertThat(text(all, "__connect.errors.stage")).isEqualTo("validate");
            assertThat(text(all, "__connect.errors.exception.class.name")).isEqualTo("java.io.EOFException");
            assertThat(text(all, "__connect.errors.exception.message")).startsWith("Cannot serve request r-1");
            assertThat(names(all)).doesNotHaveDuplicates().noneMatch(name -> name.contains("stacktrace"));
        }

        @Test
        void forgedHeadersAreReplaced() {
            List<Header> all = of(
                    Header.of("__llm.errors.code", "FORGED"),
                    Header.of("__connect.errors.topic", "FORGED"),
                    Header.of("__llm.anything", "FORGED"));
            assertThat(all).noneMatch(h -> "FORGED".equals(text(List.of(h), h.name())));
            assertThat(names(all)).doesNotHaveDuplicates();
        }

        @Test
        void tooManyHeadersAreDroppedAndCounted() {
            Header[] flood = IntStream.range(0, 10_000)
                    .mapToObj(i -> Header.of("h" + i, "x"))
                    .toArray(Header[]::new);
            List<Header> all = of(flood);
            assertThat(all).filteredOn(h -> h.name().startsWith("h")).hasSize(64);
            assertThat(text(all, "__llm.errors.headers_dropped")).isEqualTo("9936");
        }

        @Test
        void oneHugeHeaderDoesNotPushOutTheOthers() {
            Header huge = new Header("huge", new byte[1 << 20]);
            Header small = Header.of("small", "x");
            List<Header> all = of(huge, small);
            assertThat(all).contains(small).doesNotContain(huge);
            assertThat(text(all, "__llm.errors.headers_dropped")).isEqualTo("1");
        }

        @Test
        void longMessageIsCutBetweenTwoCharacters() {
            DeadLetter letter = Samples.deadLetter();
            letter.setMessage("a" + "é".repeat(500));
            String message = text(DEAD.of(letter), "__llm.errors.message");
            assertThat(message).isEqualTo("a" + "é".repeat(127));
        }

        @Test
        void recordThatFitsIsNotTouched() {
            DeadLetter letter = Samples.deadLetter();
            letter.setTruncated(false);
            DeadLetter before = RecordType.DEAD_LETTER.copy(letter);
            DeadLetterHeaders.fit(letter, 9);
            assertThat(letter).isEqualTo(before);
        }

        @Test
        void longValueIsCutAndItsHashKept() {
            DeadLetter letter = Samples.deadLetter();
            byte[] value = "a".repeat(1000).getBytes(StandardCharsets.UTF_8);
            letter.setValue(ByteBuffer.wrap(value));
            DeadLetterHeaders.fit(letter, 100);
            assertThat(letter.getValue().remaining()).isEqualTo(97);
            assertThat(letter.getKey().remaining()).isEqualTo(3);
            assertThat(letter.getTruncated()).isTrue();
            assertThat(letter.getOrigLength()).isEqualTo(1000);
            // By: printf 'a%.0s' $(seq 1000) | sha256sum
            assertThat(letter.getOrigSha256())
                    .isEqualTo("41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
        }

        @Test
        void longKeyIsCutToo() {
            DeadLetter letter = Samples.deadLetter();
            letter.setKey(ByteBuffer.wrap(new byte[50]));
            DeadLetterHeaders.fit(letter, 20);
            assertThat(letter.getKey().remaining()).isEqualTo(20);
            assertThat(letter.getValue().remaining()).isZero();
        }
    }

    @Nested
    class Output {

        private static Completion completion() {
            return Samples.completion();
        }

        @Test
        void correlationAndTraceAreEchoedByteForByte() {
            Header correlation = new Header("kafka_correlationId", new byte[] {0, -1, 127});
            Header trace = Header.of("traceparent", "00-aa-bb-01");
            Header state = Header.of("tracestate", "k=v");
            List<Header> all = OUT.of(List.of(state, correlation, trace), completion(), "completions", PAYLOAD);
            assertThat(all).contains(correlation, trace, state);
        }

        @Test
        void floodOfHeadersCannotCrowdThemOut() {
            List<Header> inbound = new ArrayList<>();
            IntStream.range(0, 10_000).forEach(i -> inbound.add(Header.of("h" + i, "x")));
            Header correlation = Header.of("kafka_correlationId", "c");
            inbound.add(correlation);
            List<Header> all = OUT.of(inbound, completion(), "completions", PAYLOAD);
            assertThat(all).contains(correlation).hasSizeLessThan(64 + 16);
        }

        @Test
        void unknownHeadersAreCopiedUnlessOptedOut() {
            List<Header> inbound = List.of(Header.of("team", "a"), Header.of("secret", "b"));
            OutputHeaders out = new OutputHeaders(true, "/s", "application/json", Set.of("secret"));
            assertThat(names(out.of(inbound, completion(), "t", PAYLOAD)))
                    .contains("team")
                    .doesNotContain("secret");
        }

        @Test
        void eventAttributesAreOurs() {
            List<Header> inbound = List.of(
                    Header.of("ce_id", "theirs"),
                    Header.of("ce_custom", "theirs"),
                    Header.of("content-type", "text/html"),
                    Header.of("__llm.crc32c", "theirs"),
                    Header.of("kafka_replyTopic", "__consumer_offsets"));
            List<Header> all = OUT.of(inbound, completion(), "completions", PAYLOAD);
            assertThat(text(all, "ce_specversion")).isEqualTo("1.0");
            assertThat(text(all, "ce_id")).isEqualTo("r-1");
            assertThat(text(all, "ce_source")).isEqualTo("/freshet/generate");
            assertThat(text(all, "ce_type")).isEqualTo("dev.freshet.completion");
            assertThat(text(all, "ce_time")).isEqualTo("2023-11-14T22:13:20Z");
            assertThat(text(all, "content-type")).isEqualTo("application/json");
            assertThat(text(all, "__llm.source.topic")).isEqualTo("prompts");
            assertThat(text(all, "__llm.source.partition")).isEqualTo("3");
            assertThat(text(all, "__llm.source.offset")).isEqualTo("1099511627776");
            assertThat(text(all, "__llm.model.fingerprint")).isEqualTo("0123456789abcdef");
            assertThat(names(all)).doesNotHaveDuplicates().doesNotContain("ce_custom", "kafka_replyTopic");
        }

        @Test
        void eventAttributesCanBeTurnedOff() {
            OutputHeaders plain = new OutputHeaders(false, "/s", "application/avro", Set.of());
            assertThat(names(plain.of(List.of(), completion(), "t", PAYLOAD)))
                    .noneMatch(name -> name.startsWith("ce_"))
                    .contains("content-type", RecordChecksum.NAME);
        }

        @Test
        void chunksOfOneRequestAreDistinctEvents() {
            List<Header> all = OUT.of(List.of(), Samples.chunk(), "chunks", PAYLOAD);
            assertThat(text(all, "ce_id")).isEqualTo("r-1:9");
            assertThat(text(all, "ce_subject")).isEqualTo("r-1");
        }

        @Test
        void checksumCoversTopicIdAndPayload() {
            List<Header> all = OUT.of(List.of(), completion(), "completions", PAYLOAD);
            assertThat(RecordChecksum.matches(all, "completions", "r-1", PAYLOAD))
                    .isTrue();
            assertThat(RecordChecksum.matches(all, "completionsr", "-1", PAYLOAD))
                    .isFalse();
            assertThat(RecordChecksum.matches(all, "other", "r-1", PAYLOAD)).isFalse();
            assertThat(RecordChecksum.matches(all, "completions", "r-2", PAYLOAD))
                    .isFalse();
            assertThat(RecordChecksum.matches(all, "completions", "r-1", new byte[7]))
                    .isFalse();
            assertThat(RecordChecksum.matches(List.of(), "completions", "r-1", PAYLOAD))
                    .isFalse();
            // By a bitwise CRC-32C (polynomial 82f63b78) of "completions\0r-1\0payload" in Python.
            assertThat(text(all, RecordChecksum.NAME)).isEqualTo("f4b4fbcc");
        }
    }

    @Nested
    class Inbound {

        @Test
        void idFallsBackToTheEventAndThenToThePosition() {
            assertThat(InboundHeaders.fallbackId(List.of(Header.of("ce_id", "e-1")), "prompts", 3, 77))
                    .isEqualTo("e-1");
            for (Header bad : List.of(
                    Header.of("other", "x"),
                    Header.of("ce_id", " "),
                    Header.of("ce_id", "a\nb"),
                    Header.of("ce_id", "i".repeat(257)),
                    new Header("ce_id", null),
                    new Header("ce_id", new byte[] {(byte) 0x80}))) {
                assertThat(InboundHeaders.fallbackId(List.of(bad), "prompts", 3, 77))
                        .isEqualTo("prompts-3-77");
            }
        }

        @Test
        void replyTopicMustBeAllowed() {
            List<Header> headers = List.of(Header.of("kafka_replyTopic", "replies"));
            assertThat(InboundHeaders.replyTopic(headers, Set.of("replies"))).isEqualTo("replies");
            assertThat(InboundHeaders.replyTopic(headers, Set.of("other"))).isNull();
            assertThat(InboundHeaders.replyTopic(List.of(), Set.of("replies"))).isNull();
        }

        @Test
        void valuesAreNotPrinted() {
            assertThat(Header.of("a", "confidential")).hasToString("a[12]");
        }
    }
}
