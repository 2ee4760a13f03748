package dev.freshet.request;

/** Stable codes of everything that can happen to a request but a completion; part of the record contract. */
public enum ErrorCode {
    BAD_AVRO(400),
    BAD_JSON(400),
    UNKNOWN_SCHEMA_ID(400),
    SCHEMA_INCOMPATIBLE(400),
    RECORD_TOO_LARGE(413),
    INVALID_UTF8(400),
    EMPTY_PROMPT(400),
    PROMPT_TOO_LONG(413),
    INVALID_PARAM(400),
    UNKNOWN_CHAT_FORMAT(400),
    UNKNOWN_MODEL(404),
    MODEL_UNAVAILABLE(503),
    DUPLICATE_ID_CONFLICT(409),
    SESSION_CONFLICT(409),
    DEADLINE_EXCEEDED(408),
    CANCELLED(499),
    OVERLOADED(429),
    DEVICE_FAULT(500),
    POISON_CRASH(500),
    NUMERIC_FAULT(500),
    OUTPUT_TOO_LARGE(500),
    INTERNAL(500);

    private final int status;

    ErrorCode(int status) {
        this.status = status;
    }

    /** The HTTP-like status that OpenAI batch output lines carry. */
    public int status() {
        return status;
    }

    /** Whether the same request may succeed when it is sent again unchanged. */
    public boolean retryable() {
        return switch (this) {
            case MODEL_UNAVAILABLE, DEADLINE_EXCEEDED, OVERLOADED, DEVICE_FAULT -> true;
            default -> false;
        };
    }
}
