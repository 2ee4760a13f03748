package dev.freshet.job;

import dev.freshet.operator.Outbound;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.kafka.sink.KafkaCommittable;
import org.apache.flink.connector.kafka.sink.KafkaWriterState;
import org.apache.flink.connector.kafka.sink.TwoPhaseCommittingStatefulSink.PrecommittingStatefulSinkWriter;
import org.apache.flink.connector.kafka.sink.internal.ReadableBackchannel;
import org.apache.flink.metrics.Counter;
import org.apache.flink.util.IOUtils;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes outcomes through the Kafka sink's writer, and keeps them until their transaction is known to be committed.
 *
 * <p>After a restore the fate of the kept transactions is read from the topics. That must wait until it is decided, which is
 * when everything below their last offset is (the last stable offset has passed it): by then the recovered commits have been
 * tried, by whichever subtask got them, open transactions of the dead run have been aborted, and no late commit can come. What
 * is not there is written again, into the transaction at hand: if that one fails, the checkpoint still holds the outcomes. The
 * stream goes on meanwhile, because a subtask that did not fail may hold a transaction open until the next checkpoint.
 *
 * <p>Confined to the task thread.
 */
final class OutcomeWriter
        implements StatefulSinkWriter<Outbound, OutcomeSinkState>, CommittingSinkWriter<Outbound, KafkaCommittable> {

    private static final Logger LOG = LoggerFactory.getLogger(OutcomeWriter.class);
    private static final long PAUSE_MILLIS = 200;
    private static final long COMPLAIN_EVERY = 150;

    private final PrecommittingStatefulSinkWriter<Outbound, KafkaWriterState, KafkaCommittable> kafka;
    private final ReadableBackchannel<Sent.Transaction> channel;
    private final OutputLog log;
    private final JobLease lease;
    private final ProcessingTimeService timers;
    private final Counter missing;
    private final Counter committed;

    /** Outcomes of the transaction at hand. */
    private List<Outbound> open = new ArrayList<>();
    /** Where the transaction at hand begins at the earliest. */
    private Map<TopicPartition, Long> from;
    /** Transactions that will be in the next checkpoint. */
    private final List<Sent> prepared = new ArrayList<>();
    /** Transactions of this run that are in a checkpoint and not known to be committed. */
    private final List<Sent> sent = new ArrayList<>();
    /** Transactions of a run before whose fate must be read from the topics. */
    private final List<Sent> restored;

    private long waits;

    OutcomeWriter(
            PrecommittingStatefulSinkWriter<Outbound, KafkaWriterState, KafkaCommittable> kafka,
            ReadableBackchannel<Sent.Transaction> channel,
            OutputLog log,
            JobLease lease,
            Map<TopicPartition, Long> from,
            List<Sent> restored,
            WriterInitContext context) {
        this.kafka = kafka;
        this.channel = channel;
        this.log = log;
        this.lease = lease;
        this.from = from;
        this.restored = new ArrayList<>(restored);
        this.timers = context.getProcessingTimeService();
        this.missing = context.metricGroup().counter("reconciledMissing");
        this.committed = context.metricGroup().counter("reconciledCommitted");
        context.metricGroup().gauge("reconciliationPending", this.restored::size);
        if (!restored.isEmpty()) {
            timers.registerTimer(timers.getCurrentProcessingTime(), this::reconcile);
        }
        beat(0);
    }

    private void beat(long time) {
        lease.beat();
        timers.registerTimer(timers.getCurrentProcessingTime() + JobLease.BEAT_MILLIS, this::beat);
    }

    @Override
    public void write(Outbound outcome, Context context) throws IOException, InterruptedException {
        open.add(outcome);
        kafka.write(outcome, context);
    }

    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        while (endOfInput && !isReconciled()) {
            if (Thread.interrupted()) {
                throw new InterruptedException();
            }
            LockSupport.parkNanos(PAUSE_MILLIS * 1_000_000);
        }
        kafka.flush(endOfInput);
    }

    @Override
    public Collection<KafkaCommittable> prepareCommit() throws IOException, InterruptedException {
        Collection<KafkaCommittable> committables = kafka.prepareCommit();
        for (KafkaCommittable committable : committables) {
            Sent.Transaction transaction = new Sent.Transaction(
                    committable.getTransactionalId(), committable.getProducerId(), committable.getEpoch());
            prepared.add(new Sent(transaction, from, Map.of(), open));
        }
        open = new ArrayList<>();
        return committables;
    }

    @Override
    public List<OutcomeSinkState> snapshotState(long checkpointId) throws IOException {
        forgetCommitted();
        if (!prepared.isEmpty()) {
            // All records of the transaction are acknowledged, so that they lie before the ends as they are now.
            Map<TopicPartition, Long> to = ends();
            for (Sent one : prepared) {
                sent.add(new Sent(one.transaction(), one.from(), to, one.outcomes()));
            }
            prepared.clear();
            from = to;
        }
        List<Sent> all = new ArrayList<>(restored);
        all.addAll(sent);
        List<OutcomeSinkState> states = new ArrayList<>();
        for (KafkaWriterState state : kafka.snapshotState(checkpointId)) {
            states.add(new OutcomeSinkState(state, states.isEmpty() ? all : List.of()));
        }
        return states;
    }

    private Map<TopicPartition, Long> ends() throws IOException {
        try {
            return log.ends();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("stopped while reading the ends of the output topics", e);
        }
    }

    private void forgetCommitted() {
        for (Sent.@Nullable Transaction done = channel.poll(); done != null; done = channel.poll()) {
            Sent.Transaction transaction = done;
            sent.removeIf(one -> one.transaction().equals(transaction));
            for (Sent one : restored) {
                if (one.transaction().equals(transaction)) {
                    committed.inc(one.outcomes().size());
                }
            }
            restored.removeIf(one -> one.transaction().equals(transaction));
        }
    }

    private void reconcile(long time) throws IOException, InterruptedException {
        if (!isReconciled()) {
            timers.registerTimer(timers.getCurrentProcessingTime() + PAUSE_MILLIS, this::reconcile);
        }
    }

    /** Tries to settle the restored transactions and returns whether none is left. */
    private boolean isReconciled() throws IOException, InterruptedException {
        forgetCommitted();
        if (restored.isEmpty()) {
            return true;
        }
        Map<TopicPartition, Long> first = new HashMap<>(restored.get(0).from());
        Map<TopicPartition, Long> end = new HashMap<>();
        for (Sent one : restored) {
            first.keySet().retainAll(one.from().keySet());
            one.from().forEach((partition, offset) -> first.computeIfPresent(partition, (p, o) -> Math.min(o, offset)));
            one.to().forEach((partition, offset) -> end.merge(partition, offset, Math::max));
        }
        Set<OutcomePosition> there;
        try {
            // A topic that lost its tail may never reach the old end again.
            Map<TopicPartition, Long> now = log.ends();
            end.replaceAll((partition, offset) -> Math.min(offset, now.getOrDefault(partition, 0L)));
            Map<TopicPartition, Long> decided = log.decided();
            for (Map.Entry<TopicPartition, Long> entry : end.entrySet()) {
                if (decided.getOrDefault(entry.getKey(), 0L) < entry.getValue()) {
                    complain(entry.getKey() + " has an open transaction before offset " + entry.getValue());
                    return false;
                }
            }
            there = log.committed(first, end);
        } catch (IOException | KafkaException e) {
            complain(e.toString());
            return false;
        }
        settle(there);
        return true;
    }

    private void complain(String why) {
        if (waits++ % COMPLAIN_EVERY == 0) {
            LOG.warn("Waiting to learn which outcomes of {} transactions are committed: {}", restored.size(), why);
        }
    }

    private void settle(Set<OutcomePosition> there) throws IOException, InterruptedException {
        int found = 0;
        int lost = 0;
        for (Sent one : restored) {
            for (Outbound outcome : one.outcomes()) {
                if (there.contains(OutcomePosition.of(outcome))) {
                    found++;
                } else {
                    lost++;
                    write(outcome, NO_CONTEXT);
                }
            }
        }
        committed.inc(found);
        missing.inc(lost);
        LOG.info(
                "Of the outcomes in {} transactions before the restart {} are committed and {} are written again",
                restored.size(),
                found,
                lost);
        restored.clear();
    }

    private static final Context NO_CONTEXT = new Context() {
        @Override
        public long currentWatermark() {
            return Long.MIN_VALUE;
        }

        @Override
        public @Nullable Long timestamp() {
            return null;
        }
    };

    /**
     * Closes everything. What the Kafka writer could not send after its last flush belongs to no checkpoint, and the task has ended by
     * now, one way or the other: an exception here would only end the whole process, which is what Flink does when the cleaning up after
     * a fenced task fails.
     */
    @Override
    public void close() throws Exception {
        try {
            kafka.close();
        } catch (IOException | KafkaException e) {
            LOG.warn("The writer was closed with records that it could not send: {}", e.toString());
        } finally {
            IOUtils.closeAll(channel, log, lease);
        }
    }
}
