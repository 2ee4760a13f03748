package dev.freshet.job;

import dev.freshet.schema.Metric;
import dev.freshet.wire.Header;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import java.util.List;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;

/** Writes metric records, keyed by job and subtask. Confined to the task thread once opened. */
final class MetricRecords implements KafkaRecordSerializationSchema<Metric> {

    private static final long serialVersionUID = 1L;

    private final JobOptions.Target target;
    private transient @Nullable RecordEncoder<Metric> encoder;

    MetricRecords(JobOptions.Target target) {
        this.target = target;
    }

    @Override
    public void open(SerializationSchema.InitializationContext context, KafkaSinkContext sink) {
        encoder = target.format().encoder(RecordType.METRIC, target.topic());
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(Metric metric, KafkaSinkContext context, @Nullable Long timestamp) {
        if (encoder == null) {
            throw new IllegalStateException("Cannot write a metric: expected an opened serializer, got a closed one.");
        }
        return KafkaRecords.of(
                target.topic(),
                KafkaRecords.utf8(metric.getJob() + "/" + metric.getEngine()),
                KafkaRecords.encode(encoder, metric),
                List.of(Header.of("content-type", target.format().contentType())));
    }
}
