package dev.freshet.wire;

/** The codes with which decoders refuse; each is the name of a constant of the request package's {@code ErrorCode}. */
public final class WireCodes {

    /** Not Avro, truncated, damaged, or a bomb. */
    public static final String BAD_AVRO = "BAD_AVRO";
    /** Not JSON, or not a request line. */
    public static final String BAD_JSON = "BAD_JSON";
    /** The record names a schema that nobody knows. */
    public static final String UNKNOWN_SCHEMA_ID = "UNKNOWN_SCHEMA_ID";
    /** The writer's schema cannot be resolved to ours. */
    public static final String SCHEMA_INCOMPATIBLE = "SCHEMA_INCOMPATIBLE";
    /** More bytes than the limit. */
    public static final String RECORD_TOO_LARGE = "RECORD_TOO_LARGE";
    /** Text that is not well-formed UTF-8. */
    public static final String INVALID_UTF8 = "INVALID_UTF8";
    /** A field of the wrong type, out of range, or not supported. */
    public static final String INVALID_PARAM = "INVALID_PARAM";

    private WireCodes() {}
}
