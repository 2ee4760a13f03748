package dev.freshet.operator;

import dev.freshet.schema.Metric;
import dev.freshet.wire.RecordType;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.jspecify.annotations.Nullable;

/** Carries {@link Metric} when operator and sink are not chained. Confined to one thread. */
public final class MetricSerializer extends RecordSerializer<Metric> {

    private static final long serialVersionUID = 1L;

    private transient EnvelopeBytes.@Nullable Avro<Metric> metrics;

    @Override
    void write(Metric record, ByteWriter out) {
        metrics().write(record, out);
    }

    @Override
    Metric read(ByteReader in) throws IOException {
        return metrics().read(in);
    }

    private EnvelopeBytes.Avro<Metric> metrics() {
        if (metrics == null) {
            metrics = new EnvelopeBytes.Avro<>(RecordType.METRIC);
        }
        return metrics;
    }

    @Override
    public MetricSerializer duplicate() {
        return new MetricSerializer();
    }

    @Override
    public TypeSerializerSnapshot<Metric> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Tells a checkpoint how to make this serializer again. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Metric> {
        public Snapshot() {
            super(MetricSerializer::new);
        }
    }
}
