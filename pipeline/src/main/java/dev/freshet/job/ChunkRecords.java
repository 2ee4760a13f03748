package dev.freshet.job;

import dev.freshet.operator.KeyedChunk;
import dev.freshet.schema.TokenChunk;
import dev.freshet.wire.OutputHeaders;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;

/** Writes token chunks. Confined to the task thread once opened. */
final class ChunkRecords implements KafkaRecordSerializationSchema<KeyedChunk> {

    private static final long serialVersionUID = 1L;

    private final JobOptions.Target target;
    private final OutputHeaders headers;
    private transient @Nullable RecordEncoder<TokenChunk> encoder;

    ChunkRecords(JobOptions options, JobOptions.Target target) {
        this.target = target;
        this.headers = new OutputHeaders(
                options.output().cloudEvents(),
                "/freshet/" + options.name(),
                target.format().contentType(),
                Set.of());
    }

    @Override
    public void open(SerializationSchema.InitializationContext context, KafkaSinkContext sink) {
        encoder = target.format().encoder(RecordType.TOKEN_CHUNK, target.topic());
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(
            KeyedChunk chunk, KafkaSinkContext context, @Nullable Long timestamp) {
        if (encoder == null) {
            throw new IllegalStateException("Cannot write a chunk: expected an opened serializer, got a closed one.");
        }
        byte[] payload = KafkaRecords.encode(encoder, chunk.chunk());
        return KafkaRecords.of(
                target.topic(),
                KafkaRecords.utf8(chunk.key()),
                payload,
                headers.of(List.of(), chunk.chunk(), target.topic(), payload));
    }
}
