package dev.freshet.job;

import dev.freshet.operator.Outbound;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.kafka.sink.KafkaCommittable;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaWriterState;
import org.apache.flink.connector.kafka.sink.TwoPhaseCommittingStatefulSink;
import org.apache.flink.connector.kafka.sink.internal.BackchannelFactory;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.SupportsPostCommitTopology;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.util.IOUtils;
import org.apache.flink.util.clock.SystemClock;
import org.apache.kafka.common.TopicPartition;

/**
 * The exactly-once Kafka sink, made safe against transactions that the broker gives up between a checkpoint and its commit. The
 * stock sink loses what such a transaction held and goes on; this one keeps the outcomes of every transaction in the checkpoint
 * until its commit is known, and after a restore writes again what the topics do not hold. See docs/adr/0010-outcomes-outlive-their-transaction.md. Serializable, as part of
 * the job graph.
 */
final class OutcomeSink
        implements Sink<Outbound>,
                SupportsWriterState<Outbound, OutcomeSinkState>,
                SupportsCommitter<KafkaCommittable>,
                SupportsPostCommitTopology<KafkaCommittable> {

    private static final long serialVersionUID = 1L;

    private final KafkaSink<Outbound> kafka;
    private final String prefix;
    private final HashMap<String, String> client;
    private final ArrayList<String> topics;
    private final String deadLetters;
    private final JobLease.Place lease;

    /**
     * Wraps a sink.
     *
     * @param kafka the sink, exactly-once
     * @param prefix its prefix of transactional ids
     * @param client properties for Kafka clients
     * @param topics every topic that it writes to
     * @param deadLetters which of them holds dead letters
     * @param lease what keeps a second job of this name away
     */
    OutcomeSink(
            KafkaSink<Outbound> kafka,
            String prefix,
            Map<String, String> client,
            List<String> topics,
            String deadLetters,
            JobLease.Place lease) {
        this.kafka = kafka;
        this.prefix = prefix;
        this.client = new HashMap<>(client);
        this.topics = new ArrayList<>(topics);
        this.deadLetters = deadLetters;
        this.lease = lease;
    }

    @Override
    public SinkWriter<Outbound> createWriter(WriterInitContext context) throws IOException {
        return restoreWriter(context, List.of());
    }

    @Override
    public StatefulSinkWriter<Outbound, OutcomeSinkState> restoreWriter(
            WriterInitContext context, Collection<OutcomeSinkState> recovered) throws IOException {
        TwoPhaseCommittingStatefulSink<Outbound, KafkaWriterState, KafkaCommittable> sink = kafka;
        List<KafkaWriterState> states =
                recovered.stream().map(OutcomeSinkState::kafka).toList();
        List<Sent> sent = recovered.stream().flatMap(s -> s.sent().stream()).toList();
        OutputLog log = new OutputLog(client, topics, deadLetters, SystemClock.getInstance());
        JobLease held = new JobLease(
                client,
                lease,
                context.getJobInfo().getJobId().toString(),
                context.getTaskInfo().getIndexOfThisSubtask() == 0,
                SystemClock.getInstance());
        try {
            // The Kafka writer aborts open transactions of this name when it is made, whoever writes into them.
            held.acquire();
            Map<TopicPartition, Long> from = log.ends();
            return new OutcomeWriter(
                    sink.restoreWriter(context, states),
                    BackchannelFactory.getInstance()
                            .getReadableBackchannel(
                                    context.getTaskInfo().getIndexOfThisSubtask(),
                                    context.getTaskInfo().getAttemptNumber(),
                                    channel()),
                    log,
                    held,
                    from,
                    sent,
                    context);
        } catch (InterruptedException e) {
            IOUtils.closeAllQuietly(held, log);
            Thread.currentThread().interrupt();
            throw new IOException("stopped while reading the ends of the output topics", e);
        } catch (IOException | RuntimeException e) {
            IOUtils.closeAllQuietly(held, log);
            throw e;
        }
    }

    @Override
    public SimpleVersionedSerializer<OutcomeSinkState> getWriterStateSerializer() {
        return new OutcomeSinkStateSerializer(kafka.getWriterStateSerializer());
    }

    @Override
    public Committer<KafkaCommittable> createCommitter(CommitterInitContext context) throws IOException {
        return new OutcomeCommitter(
                kafka.createCommitter(context),
                BackchannelFactory.getInstance()
                        .getWritableBackchannel(
                                context.getTaskInfo().getIndexOfThisSubtask(),
                                context.getTaskInfo().getAttemptNumber(),
                                channel()));
    }

    /** Name of the channel on which the committer tells the writer of the same subtask what is committed. */
    private String channel() {
        return prefix + "/outcomes";
    }

    @Override
    public SimpleVersionedSerializer<KafkaCommittable> getCommittableSerializer() {
        return kafka.getCommittableSerializer();
    }

    @Override
    public void addPostCommitTopology(DataStream<CommittableMessage<KafkaCommittable>> committables) {
        kafka.addPostCommitTopology(committables);
    }
}
