package dev.freshet.job;

import dev.freshet.operator.DeadLetters;
import dev.freshet.operator.Inbound;
import dev.freshet.operator.Origin;
import dev.freshet.operator.RecordTypes;
import dev.freshet.request.ErrorCode;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.Decoded;
import dev.freshet.wire.Header;
import dev.freshet.wire.InboundHeaders;
import dev.freshet.wire.RecordDecoder;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.RegistryUnavailable;
import dev.freshet.wire.WireFormat;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.flink.util.clock.Clock;
import org.apache.flink.util.clock.SystemClock;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Turns Kafka records into {@link Inbound}: whatever the bytes are, one value comes out. Only a schema registry that does not
 * answer makes it wait, which holds the stream back. Confined to the task thread once opened.
 */
final class PromptDeserializer implements KafkaRecordDeserializationSchema<Inbound> {

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(PromptDeserializer.class);

    private static final int MAX_HEADERS = 4 * InboundHeaders.MAX_HEADERS;
    private static final int MAX_HEADER_BYTES = 4 * InboundHeaders.MAX_BYTES;
    private static final long WAIT_MILLIS = 1000;

    private final WireFormat format;
    private transient @Nullable RecordDecoder<Prompt> decoder;
    private transient @Nullable Clock clock;

    PromptDeserializer(WireFormat format) {
        this.format = format;
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        decoder = format.decoder(RecordType.PROMPT);
        clock = SystemClock.getInstance();
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Inbound> out) throws IOException {
        if (decoder == null || clock == null) {
            throw new IllegalStateException(
                    "Cannot decode a record: expected an opened deserializer, got a closed one.");
        }
        byte @Nullable [] value = record.value();
        Origin origin = origin(record);
        Decoded<Prompt> decoded = decode(decoder, value);
        if (decoded instanceof Decoded.Value<Prompt> prompt) {
            out.collect(new Inbound.Prompt(prompt.value(), value == null ? new byte[0] : value, origin));
        } else {
            Decoded.Refused<Prompt> refused = (Decoded.Refused<Prompt>) decoded;
            DeadLetters.Reason reason = new DeadLetters.Reason(
                    "decode",
                    refused.code(),
                    refused.field(),
                    refused.message(),
                    false,
                    refused.id(),
                    refused.schemaId(),
                    null);
            out.collect(new Inbound.Rejected(DeadLetters.of(origin, value, reason, clock.absoluteTimeMillis())));
        }
    }

    private static Decoded<Prompt> decode(RecordDecoder<Prompt> decoder, byte @Nullable [] value)
            throws InterruptedIOException {
        for (long waits = 0; ; waits++) {
            try {
                return decoder.decode(value);
            } catch (RegistryUnavailable e) {
                if (waits % 60 == 0) {
                    LOG.warn("Waiting for the schema registry: {}", e.getMessage());
                }
                pause();
            } catch (RuntimeException e) {
                LOG.error(
                        "A decoder failed with {}; the record becomes a dead letter",
                        e.getClass().getName());
                return Decoded.refused(
                        ErrorCode.INTERNAL.name(),
                        "Cannot decode prompt: expected a value or a refusal, got "
                                + e.getClass().getSimpleName() + ". Report this record to the project.");
            }
        }
    }

    private static void pause() throws InterruptedIOException {
        try {
            Thread.sleep(WAIT_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("stopped while waiting for the schema registry");
        }
    }

    /** Keeps the first headers up to a limit, so that no producer can fill the state with them; answers copy fewer still. */
    static Origin origin(ConsumerRecord<byte[], byte[]> record) {
        List<Header> headers = new ArrayList<>();
        int left = MAX_HEADER_BYTES;
        for (org.apache.kafka.common.header.Header header : record.headers()) {
            int bytes = header.key().length() + (header.value() == null ? 0 : header.value().length);
            if (headers.size() < MAX_HEADERS && bytes <= left) {
                headers.add(new Header(header.key(), header.value()));
                left -= bytes;
            }
        }
        return new Origin(
                record.topic(),
                record.partition(),
                record.offset(),
                record.timestamp(),
                record.key(),
                List.copyOf(headers));
    }

    @Override
    public TypeInformation<Inbound> getProducedType() {
        return RecordTypes.INBOUND;
    }
}
