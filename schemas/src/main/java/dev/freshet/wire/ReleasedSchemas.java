package dev.freshet.wire;

import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;

/** The schemas of every release, from the class path; records written with any of them stay readable. */
final class ReleasedSchemas {

    private ReleasedSchemas() {}

    /** Returns version {@code version}, from 1, of a record's schema. */
    static Schema load(RecordType<?> type, int version) {
        String resource = "/dev/freshet/schema/released/" + type.name() + "-" + version + ".avsc";
        try (InputStream in = ReleasedSchemas.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new IllegalStateException("Cannot read a released schema: expected " + resource
                        + " on the class path, got nothing. Build the schemas module again.");
            }
            return new Schema.Parser().parse(in);
        } catch (IOException e) {
            throw new IllegalStateException("Cannot read the released schema " + resource + ".", e);
        }
    }

    /** Returns the schemas of all releases by CRC-64-AVRO fingerprint. */
    static Map<Long, Schema> byFingerprint(RecordType<?> type) {
        Map<Long, Schema> all = new HashMap<>();
        for (int version = 1; version <= type.versions(); version++) {
            Schema schema = load(type, version);
            all.put(SchemaNormalization.parsingFingerprint64(schema), schema);
        }
        return all;
    }
}
