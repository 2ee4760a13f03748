package dev.freshet.job;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.connector.kafka.sink.KafkaCommittable;
import org.apache.flink.connector.kafka.sink.internal.WritableBackchannel;
import org.jspecify.annotations.Nullable;

/**
 * Commits as the Kafka sink does and tells the writer what is committed. A transaction of this run that cannot be committed fails
 * the task, because the stock committer would only log it; after the restart the writer puts right what is missing. One that came
 * from a checkpoint may have been committed before the restart, so that its failure alone says nothing. Confined to the task thread.
 */
final class OutcomeCommitter implements Committer<KafkaCommittable> {

    private final Committer<KafkaCommittable> kafka;
    private final WritableBackchannel<Sent.Transaction> channel;

    OutcomeCommitter(Committer<KafkaCommittable> kafka, WritableBackchannel<Sent.Transaction> channel) {
        this.kafka = kafka;
        this.channel = channel;
    }

    @Override
    public void commit(Collection<CommitRequest<KafkaCommittable>> requests) throws IOException, InterruptedException {
        List<Observed> observed = new ArrayList<>();
        requests.forEach(request -> observed.add(new Observed(request)));
        kafka.commit(List.copyOf(observed));
        for (Observed request : observed) {
            KafkaCommittable committable = request.getCommittable();
            if (!request.signalled) {
                channel.send(new Sent.Transaction(
                        committable.getTransactionalId(), committable.getProducerId(), committable.getEpoch()));
            } else if (request.failure != null && committable.getProducer().isPresent()) {
                throw new IOException(
                        "Cannot commit the transaction " + committable.getTransactionalId()
                                + ": expected it to be open, got "
                                + request.failure.getClass().getSimpleName()
                                + ". The task restarts and writes what is missing again; raise"
                                + " delivery.transaction-timeout if this happens often.",
                        request.failure);
            }
        }
    }

    @Override
    public void close() throws Exception {
        try {
            kafka.close();
        } finally {
            channel.close();
        }
    }

    /** A request that remembers what became of it. */
    private static final class Observed implements CommitRequest<KafkaCommittable> {

        private final CommitRequest<KafkaCommittable> request;
        private boolean signalled;
        private @Nullable Throwable failure;

        Observed(CommitRequest<KafkaCommittable> request) {
            this.request = request;
        }

        @Override
        public KafkaCommittable getCommittable() {
            return request.getCommittable();
        }

        @Override
        public int getNumberOfRetries() {
            return request.getNumberOfRetries();
        }

        @Override
        public void signalFailedWithKnownReason(Throwable reason) {
            signalled = true;
            failure = reason;
            request.signalFailedWithKnownReason(reason);
        }

        @Override
        public void signalFailedWithUnknownReason(Throwable reason) {
            signalled = true;
            request.signalFailedWithUnknownReason(reason);
        }

        @Override
        public void retryLater() {
            signalled = true;
            request.retryLater();
        }

        @Override
        public void updateAndRetryLater(KafkaCommittable committable) {
            signalled = true;
            request.updateAndRetryLater(committable);
        }

        @Override
        public void signalAlreadyCommitted() {
            request.signalAlreadyCommitted();
        }
    }
}
