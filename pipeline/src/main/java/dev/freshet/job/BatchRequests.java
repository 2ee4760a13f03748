package dev.freshet.job;

import dev.freshet.request.ErrorCode;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.InboundHeaders;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Turns the lines of a batch into requests, or says why one is none; an id may come once. It keeps 16 to 32 bytes for each line.
 * Confined to one thread.
 */
final class BatchRequests {

    /** Longest line that is read. */
    static final int LINE_BYTES = 1 << 20;

    private final String source;
    private final RecordDecoder<Prompt> decoder = WireFormat.of(
                    "json", WireOptions.defaults().withMaxBytes(LINE_BYTES))
            .decoder(RecordType.PROMPT);
    private final LongHashSet ids = new LongHashSet();

    /** What a line is. */
    sealed interface Result permits Request, Refusal {}

    /**
     * A request, not yet validated.
     *
     * @param prompt the request
     */
    record Request(Prompt prompt) implements Result {}

    /**
     * Why a line is no request.
     *
     * @param id its id, its own or that of its place
     * @param code stable code
     * @param field the offending field, or null
     * @param message one sentence, never text of the line
     */
    record Refusal(String id, ErrorCode code, @Nullable String field, String message) implements Result {}

    /**
     * Starts at the beginning of a file.
     *
     * @param source name of the file, part of the ids of requests without one
     */
    BatchRequests(String source) {
        this.source = source;
    }

    /** Reads the next line. */
    Result read(long number, byte[] bytes, boolean tooLong) {
        String place = InboundHeaders.fallbackId(List.of(), source, 0, number);
        if (tooLong) {
            String message = "Cannot read the request: expected a line of at most " + LINE_BYTES
                    + " bytes, got a longer one. Shorten it.";
            return new Refusal(place, ErrorCode.RECORD_TOO_LARGE, null, message);
        }
        Decoded<Prompt> decoded = decoder.decode(bytes);
        @Nullable
        String id = decoded instanceof Decoded.Value<Prompt> value
                ? value.value().getId()
                : ((Decoded.Refused<Prompt>) decoded).id();
        String known = id == null || id.isBlank() ? place : id;
        // Two of a million ids share 64 bits of a good hash once in thirty million files.
        if (!ids.add(OutcomeLedger.hash(known.getBytes(StandardCharsets.UTF_8)))) {
            String message = "Cannot serve the request: expected an id that no earlier line has, got one again. Give"
                    + " each line an id of its own.";
            return new Refusal(known, ErrorCode.DUPLICATE_ID_CONFLICT, "custom_id", message);
        }
        if (decoded instanceof Decoded.Value<Prompt> value) {
            return new Request(value.value());
        }
        Decoded.Refused<Prompt> refused = (Decoded.Refused<Prompt>) decoded;
        return new Refusal(known, ErrorCode.valueOf(refused.code()), refused.field(), refused.message());
    }

    /** What is remembered of the lines so far. */
    long[] ids() {
        return ids.toArray();
    }

    /** Remembers lines of before a restart. */
    void remember(long[] hashes) {
        for (long hash : hashes) {
            ids.add(hash);
        }
    }
}
