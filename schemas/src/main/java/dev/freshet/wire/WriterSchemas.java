package dev.freshet.wire;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaCompatibility.Incompatibility;
import org.apache.avro.SchemaNormalization;

/**
 * Turns the text of a writer's schema, which is data from outside, into one that is safe to resolve: bounded in size and depth,
 * not recursive, reduced to its parsing canonical form (so that no property such as {@code java-class} survives), and
 * compatible with ours.
 */
final class WriterSchemas {

    /** Longest schema text in characters. */
    static final int MAX_LENGTH = 256 << 10;

    private static final int MAX_DEPTH = 32;
    private static final int MAX_NODES = 10_000;

    private WriterSchemas() {}

    /** A schema that we do not read. The message holds reason and cure. */
    static final class Unusable extends Exception {
        private static final long serialVersionUID = 1L;

        private final String reason;

        Unusable(String reason) {
            super(reason);
            this.reason = reason;
        }

        /** Ends a sentence that begins with "Cannot decode …:". */
        String reason() {
            return reason;
        }
    }

    /** Parses the text and checks that records written with it can be read as the type. */
    static Schema parse(String text, RecordType<?> type) throws Unusable {
        if (text.length() > MAX_LENGTH) {
            throw new Unusable("expected a writer's schema of at most " + MAX_LENGTH + " characters, got "
                    + text.length() + ". Write with a smaller schema.");
        }
        Schema writer;
        try {
            // Avro's parser recurses without a limit of its own, so the bounded one goes first.
            JsonNode tree = JsonText.MAPPER.readTree(text);
            if (tree == null || tree.isMissingNode()) {
                throw new Unusable("expected a writer's schema, got nothing. Register the schema again.");
            }
            writer = new Schema.Parser().parse(text);
        } catch (JsonProcessingException | RuntimeException e) {
            throw new Unusable("expected a writer's schema that Avro can parse, got another text ("
                    + e.getClass().getSimpleName() + "). Register the schema again.");
        }
        if (writer.getType() != Schema.Type.RECORD) {
            throw new Unusable("expected a record as writer's schema, got another type. Register the schema again.");
        }
        new Walk().check(writer, 0);
        Schema plain = new Schema.Parser().parse(SchemaNormalization.toParsingForm(writer));
        checkCompatible(plain, type);
        return named(plain, type.schema());
    }

    /**
     * Returns the writer's record under our full name. Avro applies field aliases only between records of the same full name,
     * so a producer in a namespace of its own would lose an aliased field without a word.
     */
    private static Schema named(Schema writer, Schema ours) {
        List<Schema.Field> fields = new ArrayList<>();
        writer.getFields().forEach(field -> fields.add(new Schema.Field(field, field.schema())));
        return Schema.createRecord(ours.getName(), null, ours.getNamespace(), false, fields);
    }

    private static void checkCompatible(Schema writer, RecordType<?> type) throws Unusable {
        String reason;
        try {
            SchemaCompatibility.SchemaCompatibilityResult result = SchemaCompatibility.checkReaderWriterCompatibility(
                            type.schema(), writer)
                    .getResult();
            if (result.getCompatibility() == SchemaCompatibility.SchemaCompatibilityType.COMPATIBLE) {
                return;
            }
            Incompatibility first = result.getIncompatibilities().get(0);
            reason = first.getType() + " at " + first.getLocation();
        } catch (AvroRuntimeException e) {
            reason = "a field that matches several of ours";
        }
        throw new Unusable("expected a writer's schema that resolves to ours, got " + reason
                + ". Compare it with the released schema of " + type + ".");
    }

    /** Counts and bounds; a recursive schema is one that meets itself on the way down. */
    private static final class Walk {
        private final Set<Schema> above = Collections.newSetFromMap(new IdentityHashMap<>());
        private int nodes;

        void check(Schema schema, int depth) throws Unusable {
            nodes++;
            if (depth > MAX_DEPTH || nodes > MAX_NODES) {
                throw new Unusable("expected a writer's schema of at most " + MAX_DEPTH + " levels and " + MAX_NODES
                        + " types, got more. Write with a flatter schema.");
            }
            switch (schema.getType()) {
                case RECORD -> {
                    if (!above.add(schema)) {
                        throw new Unusable("expected a writer's schema without recursion, got a recursive "
                                + "record. Write with a flat schema.");
                    }
                    for (Schema.Field field : schema.getFields()) {
                        check(field.schema(), depth + 1);
                    }
                    above.remove(schema);
                }
                case ARRAY -> check(schema.getElementType(), depth + 1);
                case MAP -> check(schema.getValueType(), depth + 1);
                case UNION -> {
                    for (Schema branch : schema.getTypes()) {
                        check(branch, depth + 1);
                    }
                }
                default -> {}
            }
        }
    }
}
