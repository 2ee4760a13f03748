package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.freshet.operator.Inbound;
import dev.freshet.request.ConfigError;
import dev.freshet.request.ErrorCode;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;

/** What comes in through a batch file, a topic, a manifest or a configuration. */
@Tag("fuzz")
final class InputFuzzTest {

    private static final int LONGEST = 1000;

    @TempDir
    static Path folder;

    /** Every byte of a batch file is in one line or between two, and every line has an answer that a batch can name. */
    @FuzzTest
    void batchLines(byte[] bytes) throws IOException {
        Path file = folder.resolve("batch.jsonl");
        Files.write(file, bytes);
        var decoder = WireFormat.of("json", WireOptions.defaults()).decoder(RecordType.PROMPT);
        try (BatchInput input = new BatchInput(file, LONGEST)) {
            long end = 0;
            long number = -1;
            BatchInput.Line line = input.next();
            while (line != null) {
                assertThat(line.number()).isGreaterThan(number);
                assertThat(line.end()).isGreaterThan(end);
                assertThat(line.bytes().length).isLessThanOrEqualTo(LONGEST);
                Decoded<Prompt> decoded = decoder.decode(line.bytes());
                if (decoded instanceof Decoded.Refused<Prompt> refused) {
                    assertThat(ErrorCode.valueOf(refused.code())).isNotEqualTo(ErrorCode.INTERNAL);
                }
                number = line.number();
                end = line.end();
                line = input.next();
            }
            assertThat(end).isLessThanOrEqualTo(bytes.length);
            assertThat(number).isLessThan(BatchManifest.Input.of(file).lines());
        }
    }

    @FuzzTest
    void topicRecords(FuzzedDataProvider data) throws IOException {
        ConsumerRecord<byte[], byte[]> record = record(data);
        List<Inbound> out = new ArrayList<>();
        for (String format : List.of("json", "avro")) {
            PromptDeserializer prompts = new PromptDeserializer(WireFormat.of(format, WireOptions.defaults()));
            prompts.open(new Context());
            prompts.deserialize(record, new ListCollector<>(out));
        }
        assertThat(out).hasSize(2);
        out.forEach(inbound -> {
            if (inbound instanceof Inbound.Rejected rejected) {
                assertThat(rejected.letter().getCode()).isNotEqualTo("INTERNAL");
            }
        });
        new ControlDeserializer().deserialize(record, new ListCollector<>(out));
        assertThat(out.size()).isLessThanOrEqualTo(3);
    }

    private record Context() implements DeserializationSchema.InitializationContext {
        @Override
        public MetricGroup getMetricGroup() {
            return new UnregisteredMetricsGroup();
        }

        @Override
        public UserCodeClassLoader getUserCodeClassLoader() {
            return SimpleUserCodeClassLoader.create(InputFuzzTest.class.getClassLoader());
        }
    }

    private static ConsumerRecord<byte[], byte[]> record(FuzzedDataProvider data) {
        List<Map.Entry<String, byte[]>> headers = new ArrayList<>();
        for (int n = data.consumeInt(0, 6); n > 0; n--) {
            headers.add(Map.entry(data.consumeString(12), data.consumeBytes(20)));
        }
        byte[] key = data.consumeBoolean() ? data.consumeBytes(20) : null;
        byte[] value =
                data.consumeBoolean() ? "cancel".getBytes(StandardCharsets.US_ASCII) : data.consumeRemainingAsBytes();
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("prompts", 0, 7, key, value);
        headers.forEach(h -> record.headers().add(h.getKey(), h.getValue()));
        return record;
    }

    @FuzzTest
    void manifestAndConfiguration(byte[] bytes) throws IOException {
        Path manifest = folder.resolve(BatchManifest.FILE);
        Files.write(manifest, bytes);
        try {
            new BatchManifest(1, "batch.jsonl", 3, Map.of("model", "m")).claim(folder);
        } catch (ConfigError e) {
            assertThat(e.getMessage()).matches("(?s)Cannot .+\\.");
        }
        Path yaml = folder.resolve("freshet.yaml");
        Files.write(yaml, bytes);
        try {
            JobOptions.of(ConfigFile.read(yaml, Map.of("HOME", "/home")));
        } catch (ConfigError e) {
            assertThat(e.getMessage()).matches("(?s)Cannot .+");
        }
    }
}
