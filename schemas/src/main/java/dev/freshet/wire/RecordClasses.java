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
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.specific.SpecificData;
import org.jspecify.annotations.Nullable;

/**
 * Avro's view of the generated classes, from a fixed table. Avro's own looks classes up by the names in a schema, which since
 * 1.12.2 needs a system property in every JVM; here no name in a schema ever becomes a class. Immutable.
 */
final class RecordClasses extends SpecificData {

    private static final Map<String, Class<?>> BY_NAME = Stream.of(
                    Completion.class,
                    DeadLetter.class,
                    Failure.class,
                    Message.class,
                    Metric.class,
                    Percentiles.class,
                    Prompt.class,
                    RecordHeader.class,
                    RequestMetrics.class,
                    TokenBias.class,
                    TokenChunk.class,
                    TokenLogprob.class,
                    TopLogprob.class,
                    Usage.class)
            .collect(Collectors.toUnmodifiableMap(Class::getName, Function.identity()));

    /** The only instance needed: it has no state of its own. */
    static final RecordClasses INSTANCE = new RecordClasses();

    private RecordClasses() {
        setFastReaderEnabled(false);
        setCustomCoders(false);
    }

    @Override
    @SuppressWarnings("rawtypes")
    public @Nullable Class getClass(Schema schema) {
        return switch (schema.getType()) {
            case RECORD -> BY_NAME.get(schema.getFullName());
            case ENUM, FIXED -> null;
            default -> super.getClass(schema);
        };
    }

    @Override
    public Object newRecord(@Nullable Object old, Schema schema) {
        if (!BY_NAME.containsKey(schema.getFullName())) {
            return new GenericData.Record(schema);
        }
        return super.newRecord(old, schema);
    }
}
