package dev.freshet.job;

import dev.freshet.wire.Header;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RegistryUnavailable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the sinks of a job share. */
final class KafkaRecords {

    private static final Logger LOG = LoggerFactory.getLogger(KafkaRecords.class);
    private static final long WAIT_MILLIS = 1000;

    private KafkaRecords() {}

    /** A record without a timestamp, so that the producer's clock gives one: event times can look expired to a broker. */
    static ProducerRecord<byte[], byte[]> of(
            String topic, byte @Nullable [] key, byte @Nullable [] value, List<Header> headers) {
        List<org.apache.kafka.common.header.Header> converted = new ArrayList<>(headers.size());
        for (Header header : headers) {
            converted.add(new RecordHeader(header.name(), header.value()));
        }
        return new ProducerRecord<>(topic, null, null, key, value, converted);
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Encodes, and waits for a schema registry that does not answer. */
    static <T> byte[] encode(RecordEncoder<T> encoder, T record) {
        for (long waits = 0; ; waits++) {
            try {
                return encoder.encode(record);
            } catch (RegistryUnavailable e) {
                if (waits % 60 == 0) {
                    LOG.warn("Waiting for the schema registry: {}", e.getMessage());
                }
                pause(e);
            }
        }
    }

    private static void pause(RegistryUnavailable cause) {
        try {
            Thread.sleep(WAIT_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw cause;
        }
    }
}
