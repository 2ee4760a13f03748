package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.avro.specific.SpecificRecord;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** What any release wrote is read the same for ever, and the newest version is written the same for ever. */
class GoldenBytesTest {

    @TestFactory
    Stream<DynamicTest> everyReleasedRecordIsReadAndWrittenByteForByte() {
        List<DynamicTest> tests = new ArrayList<>();
        for (RecordType<?> type : Samples.TYPES) {
            for (int version = 1; version <= type.versions(); version++) {
                for (String which : List.of("full", "minimal")) {
                    add(tests, type, "avro", "avro/" + type.name() + "-" + version + "-" + which + ".bin", version);
                    if (type != RecordType.DEAD_LETTER) {
                        add(
                                tests,
                                type,
                                "json",
                                "json/" + type.name() + "-" + version + "-" + which + ".json",
                                version);
                    }
                }
            }
        }
        return tests.stream();
    }

    private static <T extends SpecificRecord> void add(
            List<DynamicTest> tests, RecordType<T> type, String format, String file, int version) {
        tests.add(DynamicTest.dynamicTest(file, () -> {
            WireFormat wire = WireFormat.of(format, WireOptions.defaults());
            T sample = type.type().cast(file.contains("full") ? Samples.full(type, version) : Samples.minimal(type));
            byte[] now = wire.encoder(type, "t").encode(sample);
            byte[] golden = Golden.read(file, now);
            assertThat(wire.decoder(type).decode(golden)).isEqualTo(new Decoded.Value<>(sample));
            if (version == type.versions()) {
                assertThat(now).isEqualTo(golden);
            }
        }));
    }
}
