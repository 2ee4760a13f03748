package dev.freshet.wire;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Failure;
import dev.freshet.schema.Message;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Percentiles;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.RecordHeader;
import dev.freshet.schema.RequestMetrics;
import dev.freshet.schema.TokenBias;
import dev.freshet.schema.TokenChunk;
import dev.freshet.schema.TokenLogprob;
import dev.freshet.schema.TopLogprob;
import dev.freshet.schema.Usage;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.specific.SpecificRecord;

/** One record of each type with every field set, and one with as few as possible. They are the content of the golden files. */
final class Samples {

    static final List<RecordType<?>> TYPES = List.of(
            RecordType.PROMPT,
            RecordType.COMPLETION,
            RecordType.TOKEN_CHUNK,
            RecordType.METRIC,
            RecordType.DEAD_LETTER);

    private Samples() {}

    static SpecificRecord full(RecordType<?> type) {
        return switch (type.name()) {
            case "prompt" -> prompt();
            case "completion" -> completion();
            case "token-chunk" -> chunk();
            case "metric" -> metric();
            case "dead-letter" -> deadLetter();
            default -> throw new IllegalArgumentException(type.name());
        };
    }

    /** What a release of another version could say of the same record. */
    static SpecificRecord full(RecordType<?> type, int version) {
        SpecificRecord record = full(type);
        if (record instanceof Prompt prompt && version < 2) {
            prompt.setSessionTurn(null);
            prompt.setSessionEnd(false);
        }
        return record;
    }

    static SpecificRecord minimal(RecordType<?> type) {
        return switch (type.name()) {
            case "prompt" -> Prompt.newBuilder().setPrompt("Once upon a time").build();
            case "completion" ->
                Completion.newBuilder().setId("r-1").setFinishReason("stop").build();
            case "token-chunk" ->
                TokenChunk.newBuilder()
                        .setId("r-1")
                        .setIndex(0)
                        .setTokenOffset(0)
                        .build();
            case "metric" ->
                Metric.newBuilder()
                        .setTimestampMs(1_700_000_000_000L)
                        .setIntervalMs(1000)
                        .setEngine(0)
                        .build();
            case "dead-letter" ->
                DeadLetter.newBuilder()
                        .setCode("BAD_AVRO")
                        .setStage("decode")
                        .setMessage("Cannot decode prompt.")
                        .setTopic("prompts")
                        .setPartition(0)
                        .setOffset(0)
                        .setHeaders(List.of())
                        .build();
            default -> throw new IllegalArgumentException(type.name());
        };
    }

    static Prompt prompt() {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("team", "search");
        metadata.put("city", "Zürich");
        return Prompt.newBuilder()
                .setId("r-1")
                .setModel("stories")
                .setMessages(List.of(
                        new Message("system", "Be brief."),
                        new Message("user", "Grüße, мир, 世界, \uD83D\uDE00 \u0000 \u200D \u202E!")))
                .setChatFormat("chatml")
                .setMaxTokens(200L)
                .setMaxCompletionTokens(200L)
                .setMinTokens(3L)
                .setTemperature(0.7)
                .setTopP(0.95)
                .setTopK(40L)
                .setMinP(0.05)
                .setRepetitionPenalty(1.1)
                .setPresencePenalty(-0.5)
                .setFrequencyPenalty(0.25)
                .setLogitBias(List.of(new TokenBias(50256, -100.0), new TokenBias(0, 1.5)))
                .setStop(List.of("\n\n", "END"))
                .setStopTokenIds(List.of(2, 7))
                .setIgnoreEos(true)
                .setIncludeStopStrInOutput(true)
                .setSkipSpecialTokens(false)
                .setLogprobs(5L)
                .setSeed(-42L)
                .setN(1L)
                .setSpeculative("lookup")
                .setEcho(true)
                .setStream(true)
                .setReturnTokenIds(true)
                .setPriority(-3L)
                .setDeadlineMs(60_000L)
                .setSessionId("s-9")
                .setSessionTurn(3L)
                .setSessionEnd(true)
                .setUser("someone")
                .setMetadata(metadata)
                .build();
    }

    static Completion completion() {
        return Completion.newBuilder()
                .setId("r-1")
                .setText(" there was a fox.")
                .setTokenIds(List.of(10, 11, 12))
                .setFinishReason("stop")
                .setStopReason("END")
                .setError(new Failure("DEADLINE_EXCEEDED", "deadline_ms", "Cannot finish: too late.", 408))
                .setLogprobs(List.of(
                        new TokenLogprob(
                                " there",
                                10,
                                -0.25,
                                List.of(new TopLogprob(" there", 10, -0.25), new TopLogprob(" lived", 99, -1.5))),
                        new TokenLogprob(" was", 11, -1e-9, List.of())))
                .setUsage(new Usage(12L, 3L, 4L))
                .setMetrics(new RequestMetrics(12.5, 80.25, 1.0, 4.125, 37.5, 2L, 9L, 4L, 1L, 5L))
                .setModel("stories")
                .setModelFingerprint("0123456789abcdef")
                .setBackend("vector")
                .setSeed(Long.MIN_VALUE)
                .setChat(true)
                .setCreated(1_700_000_000L)
                .setSourceTopic("prompts")
                .setSourcePartition(3)
                .setSourceOffset(1L << 40)
                .build();
    }

    static TokenChunk chunk() {
        return TokenChunk.newBuilder()
                .setId("r-1")
                .setIndex(4)
                .setTokenOffset(9)
                .setText("fox.")
                .setTokenIds(List.of(12, 13))
                .setFinishReason("stop")
                .setStopReason(2)
                .setUsage(new Usage(12L, 11L, 0L))
                .setModel("stories")
                .setChat(true)
                .setCreated(1_700_000_000L)
                .build();
    }

    static Metric metric() {
        return Metric.newBuilder()
                .setKind("summary")
                .setTimestampMs(1_700_000_001_000L)
                .setIntervalMs(1000)
                .setJob("generate")
                .setModelName("stories")
                .setEngine(1)
                .setEngines(2)
                .setBackend("vector")
                .setNumRequestsRunning(8)
                .setNumRequestsWaiting(3)
                .setPromptTokensTotal(1000)
                .setGenerationTokensTotal(5000)
                .setPromptTokensPerSecond(100.5)
                .setGenerationTokensPerSecond(512.25)
                .setRequestsStopTotal(20)
                .setRequestsLengthTotal(21)
                .setRequestsAbortTotal(1)
                .setRequestsErrorTotal(2)
                .setStateSlotsUsed(8)
                .setStateSlotsTotal(16)
                .setBatchOccupancy(0.5)
                .setTimeToFirstTokenSeconds(new Percentiles(0.01, 0.02, 0.03))
                .setInterTokenLatencySeconds(new Percentiles(0.001, 0.002, 0.003))
                .setE2eRequestLatencySeconds(new Percentiles(1.0, 2.0, 3.0))
                .setRequestQueueTimeSeconds(new Percentiles(0.1, 0.2, 0.3))
                .setSpecDecodeNumDraftsTotal(100)
                .setSpecDecodeNumDraftTokensTotal(400)
                .setSpecDecodeNumAcceptedTokensTotal(150)
                .setSpecDecodeMeanAcceptanceLength(2.5)
                .setDeadLettersTotal(4)
                .setDuplicatesTotal(5)
                .setDeadlineExceededTotal(6)
                .setCancelledTotal(7)
                .setResumedSequencesTotal(8)
                .setRecomputedTokensTotal(9)
                .setCheckpointedStateBytes(1 << 20)
                .build();
    }

    static DeadLetter deadLetter() {
        return DeadLetter.newBuilder()
                .setCode("INVALID_PARAM")
                .setStage("validate")
                .setMessage("Cannot serve request r-1: expected top_p in (0, 1], got 2. Correct top_p.")
                .setField("top_p")
                .setRetryable(true)
                .setExceptionClass("java.io.EOFException")
                .setTopic("prompts")
                .setPartition(3)
                .setOffset(77)
                .setTimestamp(1_700_000_000_000L)
                .setKey(bytes("key"))
                .setValue(bytes("\u0000value"))
                .setHeaders(List.of(new RecordHeader("traceparent", bytes("00-aa")), new RecordHeader("empty", null)))
                .setTruncated(true)
                .setOrigLength(2_000_000L)
                .setOrigSha256("ab".repeat(32))
                .setRequestId("r-1")
                .setSchemaId(12)
                .setAttempt(2)
                .setFirstSeen(1_699_999_999_000L)
                .build();
    }

    private static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
    }
}
