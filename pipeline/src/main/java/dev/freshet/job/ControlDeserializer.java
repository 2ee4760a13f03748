package dev.freshet.job;

import dev.freshet.operator.Inbound;
import dev.freshet.operator.RecordTypes;
import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Turns records of the control topic into {@link Inbound.Cancel}: the key is the id of a request, the value is the word cancel. Any
 * other record is counted and skipped: it asks for nothing that could be answered. Confined to the task thread once opened.
 */
final class ControlDeserializer implements KafkaRecordDeserializationSchema<Inbound> {

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(ControlDeserializer.class);
    private static final String CANCEL = "cancel";
    private static final int LONGEST_ID = 1024;

    private transient @Nullable Counter skipped;

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        skipped = context.getMetricGroup().addGroup("llm").counter("numControlRecordsSkipped");
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Inbound> out) {
        byte @Nullable [] key = record.key();
        byte @Nullable [] value = record.value();
        boolean known = value != null
                && CANCEL.equals(new String(value, StandardCharsets.UTF_8).strip())
                && key != null
                && key.length > 0
                && key.length <= LONGEST_ID;
        if (known) {
            out.collect(new Inbound.Cancel(new String(key, StandardCharsets.UTF_8)));
            return;
        }
        if (skipped == null) {
            skipped = new SimpleCounter();
        }
        skipped.inc();
        if (Long.bitCount(skipped.getCount()) == 1) {
            // Powers of two: a flood of them does not flood the log.
            LOG.warn(
                    "Skipped {} control records, the last at {}-{}@{}: expected an id as key and the value {}",
                    skipped.getCount(),
                    record.topic(),
                    record.partition(),
                    record.offset(),
                    CANCEL);
        }
    }

    @Override
    public TypeInformation<Inbound> getProducedType() {
        return RecordTypes.INBOUND;
    }
}
