package dev.freshet.wire;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenChunk;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificRecord;

/**
 * The records that have a wire form. Immutable.
 *
 * @param <T> generated class
 */
public final class RecordType<T extends SpecificRecord> {

    /** A request. */
    public static final RecordType<Prompt> PROMPT =
            new RecordType<>("prompt", Prompt.class, Prompt.getClassSchema(), 2);
    /** The outcome of a request. */
    public static final RecordType<Completion> COMPLETION =
            new RecordType<>("completion", Completion.class, Completion.getClassSchema(), 1);
    /** A piece of a growing completion. */
    public static final RecordType<TokenChunk> TOKEN_CHUNK =
            new RecordType<>("token-chunk", TokenChunk.class, TokenChunk.getClassSchema(), 1);
    /** What one subtask did. */
    public static final RecordType<Metric> METRIC =
            new RecordType<>("metric", Metric.class, Metric.getClassSchema(), 1);
    /** A refusal between operators; it has no JSON form, because the dead-letter topic holds original bytes. */
    public static final RecordType<DeadLetter> DEAD_LETTER =
            new RecordType<>("dead-letter", DeadLetter.class, DeadLetter.getClassSchema(), 1);

    private final String name;
    private final Class<T> type;
    private final Schema schema;
    private final int versions;

    private RecordType(String name, Class<T> type, Schema schema, int versions) {
        this.name = name;
        this.type = type;
        this.schema = schema;
        this.versions = versions;
    }

    /** Name in file names and messages. */
    public String name() {
        return name;
    }

    /** The generated class. */
    public Class<T> type() {
        return type;
    }

    /** The schema that this build writes, and reads into. */
    public Schema schema() {
        return schema;
    }

    /** Number of released schema versions; the last one is {@link #schema()}. */
    public int versions() {
        return versions;
    }

    /**
     * Returns a deep copy. Avro's own ways to copy ({@code newBuilder(T)}) and to serialise the generated classes need a system
     * property in every JVM; this one, the codecs and {@code newBuilder()} do not.
     */
    public T copy(T value) {
        return RecordClasses.INSTANCE.deepCopy(schema, value);
    }

    @Override
    public String toString() {
        return name;
    }
}
