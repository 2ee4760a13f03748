package dev.freshet.operator;

import dev.freshet.request.ErrorCode;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.RecordHeader;
import dev.freshet.wire.DeadLetterHeaders;
import dev.freshet.wire.Header;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Makes dead letters: the original record, whole where it fits, with the reason beside it. */
public final class DeadLetters {

    /** Bytes of key and value together that surely fit a topic with the broker's default limit, headers included. */
    private static final int LARGEST = 900_000;

    private DeadLetters() {}

    /**
     * Why a record is refused. Immutable.
     *
     * @param stage where: decode, validate, tokenize, admit, generate or emit
     * @param code stable code
     * @param field the offending field, or null
     * @param message one sentence; never text of the record
     * @param retryable whether the same record may succeed later
     * @param requestId id of the request where it could be read, or null
     * @param schemaId registry id that the record names, or null
     * @param exceptionClass class behind the refusal, or null
     */
    public record Reason(
            String stage,
            String code,
            @Nullable String field,
            String message,
            boolean retryable,
            @Nullable String requestId,
            @Nullable Integer schemaId,
            @Nullable String exceptionClass) {}

    /**
     * Returns the dead letter of a record.
     *
     * @param value the record's bytes, or null for a tombstone
     * @param firstSeenMillis when it was read, epoch milliseconds
     */
    public static DeadLetter of(Origin origin, byte @Nullable [] value, Reason reason, long firstSeenMillis) {
        List<RecordHeader> headers = new ArrayList<>();
        for (Header header : origin.headers()) {
            headers.add(new RecordHeader(header.name(), wrap(header.value())));
        }
        DeadLetter letter = new DeadLetter();
        letter.setCode(reason.code());
        letter.setStage(reason.stage());
        letter.setMessage(reason.message());
        letter.setField(reason.field());
        letter.setRetryable(reason.retryable());
        letter.setExceptionClass(reason.exceptionClass());
        letter.setTopic(origin.topic());
        letter.setPartition(origin.partition());
        letter.setOffset(origin.offset());
        letter.setTimestamp(origin.timestamp());
        letter.setKey(wrap(origin.key()));
        letter.setValue(wrap(value));
        letter.setHeaders(headers);
        letter.setRequestId(reason.requestId());
        letter.setSchemaId(reason.schemaId());
        letter.setAttempt(1);
        letter.setFirstSeen(firstSeenMillis);
        DeadLetterHeaders.fit(letter, LARGEST);
        return letter;
    }

    /** The dead letter of a request whose id another one has. */
    static DeadLetter conflict(Inbound.Prompt prompt, String id, long firstSeenMillis) {
        Reason reason = new Reason(
                "admit",
                ErrorCode.DUPLICATE_ID_CONFLICT.name(),
                "id",
                "Cannot serve the request: expected a new id, got that of another request. Give each request an id"
                        + " of its own.",
                false,
                id,
                null,
                null);
        return of(prompt.origin(), prompt.value(), reason, firstSeenMillis);
    }

    private static @Nullable ByteBuffer wrap(byte @Nullable [] bytes) {
        return bytes == null ? null : ByteBuffer.wrap(bytes);
    }
}
