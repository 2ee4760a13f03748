package dev.freshet.wire;

import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.RecordHeader;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The headers of a record in the dead-letter topic: the original ones, then the refusal as {@code __llm.errors.*}, and for
 * tools that know Kafka Connect also as {@code __connect.errors.*}. Serializable, so that a job carries it. Immutable.
 *
 * @param job name of the job
 * @param operatorUid uid of the operator that refused
 * @param subtask number of its subtask
 * @param appVersion version of Freshet
 * @param modelSha256 fingerprint of the model, or null before there is one
 */
public record DeadLetterHeaders(
        String job, String operatorUid, int subtask, String appVersion, @Nullable String modelSha256)
        implements Serializable {

    /** What the names of our headers begin with. */
    public static final String PREFIX = "__llm.errors.";
    /** What the names of Kafka Connect's headers begin with. */
    public static final String CONNECT_PREFIX = "__connect.errors.";

    private static final int MAX_MESSAGE_BYTES = 256;

    /**
     * Returns the headers of a dead letter.
     *
     * @param letter what was refused, and why
     */
    public List<Header> of(DeadLetter letter) {
        List<Header> inbound = new ArrayList<>();
        for (RecordHeader header : letter.getHeaders()) {
            inbound.add(new Header(header.getName(), bytes(header.getValue())));
        }
        InboundHeaders.Kept kept = InboundHeaders.keep(inbound, name -> true);
        List<Header> all = new ArrayList<>(kept.headers());
        ours(all, letter);
        if (kept.dropped() > 0) {
            add(all, "headers_dropped", kept.dropped());
        }
        connect(all, letter);
        return all;
    }

    private void ours(List<Header> all, DeadLetter letter) {
        add(all, "code", letter.getCode());
        add(all, "stage", letter.getStage());
        add(all, "topic", letter.getTopic());
        add(all, "partition", letter.getPartition());
        add(all, "offset", letter.getOffset());
        add(all, "timestamp", letter.getTimestamp());
        add(all, "exception.class", letter.getExceptionClass());
        add(all, "message", shortened(letter.getMessage()));
        add(all, "retryable", letter.getRetryable());
        add(all, "request_id", letter.getRequestId());
        add(all, "schema_id", letter.getSchemaId());
        add(all, "field", letter.getField());
        add(all, "attempt", letter.getAttempt());
        add(all, "first_seen", letter.getFirstSeen() < 0 ? null : letter.getFirstSeen());
        add(all, "truncated", letter.getTruncated());
        add(all, "orig_length", letter.getOrigLength());
        add(all, "orig_sha256", letter.getOrigSha256());
        add(all, "job", job);
        add(all, "operator_uid", operatorUid);
        add(all, "subtask", subtask);
        add(all, "app_version", appVersion);
        add(all, "model_sha256", modelSha256);
    }

    private static void connect(List<Header> all, DeadLetter letter) {
        all.add(Header.of(CONNECT_PREFIX + "topic", letter.getTopic()));
        all.add(Header.of(CONNECT_PREFIX + "partition", Integer.toString(letter.getPartition())));
        all.add(Header.of(CONNECT_PREFIX + "offset", Long.toString(letter.getOffset())));
        all.add(Header.of(CONNECT_PREFIX + "stage", letter.getStage()));
        // Connect's tools group by exception class; ours is the code where there was no exception.
        String type = letter.getExceptionClass() == null ? letter.getCode() : letter.getExceptionClass();
        all.add(Header.of(CONNECT_PREFIX + "exception.class.name", type));
        all.add(Header.of(CONNECT_PREFIX + "exception.message", shortened(letter.getMessage())));
    }

    private static void add(List<Header> all, String name, @Nullable Object value) {
        if (value != null) {
            all.add(Header.of(PREFIX + name, value.toString()));
        }
    }

    /** Cuts a message at its limit, between two characters. */
    private static String shortened(String message) {
        byte[] bytes = Utf8Text.repaired(message).getBytes(StandardCharsets.UTF_8);
        int end = Math.min(bytes.length, MAX_MESSAGE_BYTES);
        while (end < bytes.length && (bytes[end] & 0xC0) == 0x80) {
            end--;
        }
        return new String(bytes, 0, end, StandardCharsets.UTF_8);
    }

    /**
     * Cuts the value, and if need be the key, of a dead letter that is too long for its topic, and notes length and SHA-256 of
     * the whole value. A record is shortened, never dropped.
     *
     * @param letter changed in place
     * @param maxBytes most bytes of key and value together
     */
    public static void fit(DeadLetter letter, int maxBytes) {
        byte[] key = bytes(letter.getKey());
        byte[] value = bytes(letter.getValue());
        int keyLength = key == null ? 0 : key.length;
        int valueLength = value == null ? 0 : value.length;
        if ((long) keyLength + valueLength <= maxBytes) {
            return;
        }
        letter.setTruncated(true);
        letter.setOrigLength((long) valueLength);
        letter.setOrigSha256(sha256(value == null ? new byte[0] : value));
        if (key != null && keyLength > maxBytes) {
            letter.setKey(ByteBuffer.wrap(key, 0, maxBytes).slice());
        }
        if (value != null) {
            letter.setValue(ByteBuffer.wrap(value, 0, Math.min(valueLength, Math.max(0, maxBytes - keyLength)))
                    .slice());
        }
    }

    private static byte @Nullable [] bytes(@Nullable ByteBuffer buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] copy = new byte[buffer.remaining()];
        buffer.duplicate().get(copy);
        return copy;
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Cannot hash a record: expected SHA-256 in this Java, got none.", e);
        }
    }
}
