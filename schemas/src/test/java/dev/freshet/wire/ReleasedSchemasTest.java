package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.specific.SpecificRecord;
import org.junit.jupiter.api.Test;

class ReleasedSchemasTest {

    @Test
    void currentSchemaIsTheLastReleasedOne() {
        for (RecordType<?> type : Samples.TYPES) {
            Schema last = ReleasedSchemas.load(type, type.versions());
            assertThat(SchemaNormalization.toParsingForm(type.schema()))
                    .as("A changed %s schema needs a new released version and golden bytes.", type)
                    .isEqualTo(SchemaNormalization.toParsingForm(last));
        }
    }

    @Test
    void recordsAreCopiedWithoutAvrosSystemProperty() {
        assertThat(System.getProperty("org.apache.avro.SERIALIZABLE_PACKAGES")).isNull();
        for (RecordType<?> type : Samples.TYPES) {
            assertCopied(type);
        }
    }

    private static <T extends SpecificRecord> void assertCopied(RecordType<T> type) {
        T full = type.type().cast(Samples.full(type));
        assertThat(type.copy(full)).isEqualTo(full).isNotSameAs(full);
    }

    @Test
    void everyReleasedSchemaCanStillBeReadAndReadsWhatWeWrite() {
        for (RecordType<?> type : Samples.TYPES) {
            for (int version = 1; version <= type.versions(); version++) {
                Schema released = ReleasedSchemas.load(type, version);
                assertCompatible(type.schema(), released);
                assertCompatible(released, type.schema());
            }
        }
    }

    private static void assertCompatible(Schema reader, Schema writer) {
        assertThat(SchemaCompatibility.checkReaderWriterCompatibility(reader, writer)
                        .getResult()
                        .getIncompatibilities())
                .isEmpty();
    }

    @Test
    void everyRecordAndFieldIsDocumented() {
        List<String> silent = new ArrayList<>();
        for (RecordType<?> type : Samples.TYPES) {
            findSilent(ReleasedSchemas.load(type, type.versions()), type.name(), silent);
            findSilent(type.schema(), type.name(), silent);
        }
        assertThat(silent).isEmpty();
    }

    private static void findSilent(Schema schema, String path, List<String> silent) {
        switch (schema.getType()) {
            case RECORD -> {
                if (schema.getDoc() == null || schema.getDoc().isBlank()) {
                    silent.add(path);
                }
                for (Schema.Field field : schema.getFields()) {
                    if (field.doc() == null || field.doc().isBlank()) {
                        silent.add(path + "." + field.name());
                    }
                    findSilent(field.schema(), path + "." + field.name(), silent);
                }
            }
            case ARRAY -> findSilent(schema.getElementType(), path, silent);
            case UNION -> schema.getTypes().forEach(branch -> findSilent(branch, path, silent));
            default -> {}
        }
    }
}
