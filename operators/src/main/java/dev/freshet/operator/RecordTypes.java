package dev.freshet.operator;

import dev.freshet.schema.Metric;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.util.OutputTag;

/** Flink's view of the records of a job, and the operator's side outputs. */
public final class RecordTypes {

    /** What the source hands to the operator. */
    public static final TypeInformation<Inbound> INBOUND = new RecordTypeInfo<>(Inbound.class, new InboundSerializer());

    /** Outcomes, the operator's main output. */
    public static final TypeInformation<Outbound> OUTBOUND =
            new RecordTypeInfo<>(Outbound.class, new OutboundSerializer());

    /** Growing texts. */
    public static final OutputTag<KeyedChunk> CHUNKS =
            new OutputTag<>("chunks", new RecordTypeInfo<>(KeyedChunk.class, new ChunkSerializer()));

    /** Throughput. */
    public static final OutputTag<Metric> METRICS =
            new OutputTag<>("metrics", new RecordTypeInfo<>(Metric.class, new MetricSerializer()));

    private RecordTypes() {}
}
