package dev.freshet.job;

import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.io.Serializable;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.util.clock.Clock;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps a second job of the same name from working beside the first: both would answer every prompt and abort each other's
 * transactions. The holder writes its id and a number that grows every second as metadata of an offset, in a consumer group of its
 * own that nobody joins, so that no topic has to be made for it. A newcomer that sees the number grow is refused; one that sees it
 * stand still takes the lease over, and a holder that finds another's id ends without a restart.
 *
 * <p>Confined to the task thread, but for the answers of the broker.
 */
final class JobLease implements AutoCloseable {

    static final long BEAT_MILLIS = 1000;

    private static final Logger LOG = LoggerFactory.getLogger(JobLease.class);
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final long LOOK_MILLIS = 200;
    private static final long GOODBYE_MILLIS = 1000;

    /** A holder that has not written for so long is dead. */
    private static final long DEAD_MILLIS = 6 * BEAT_MILLIS;

    private final Admin admin;
    private final Place place;
    private final String own;
    private final Clock clock;
    private final boolean writes;
    private final AtomicLong beats = new AtomicLong();
    private volatile @Nullable String displacedBy;
    private volatile boolean silent;
    private volatile boolean closed;

    /**
     * Where the lease of a job is.
     *
     * @param job name of the job
     * @param topic a topic that the job may read
     */
    record Place(String job, String topic) implements Serializable {

        private static final long serialVersionUID = 1L;

        String group() {
            return job + ".lease";
        }

        TopicPartition partition() {
            return new TopicPartition(topic, 0);
        }
    }

    /**
     * Opens a connection.
     *
     * @param client properties for Kafka clients
     * @param own id of this run of the job
     * @param writes whether this subtask writes for its job; the others only look
     */
    JobLease(Map<String, String> client, Place place, String own, boolean writes, Clock clock) {
        this.admin = Admin.create(new HashMap<String, Object>(client));
        this.place = place;
        this.own = own;
        this.writes = writes;
        this.clock = clock;
    }

    /** Returns when no other job of this name is at work. */
    void acquire() throws IOException, InterruptedException {
        try {
            String seen = get(read());
            long since = clock.relativeTimeMillis();
            while (isForeign(seen) && clock.relativeTimeMillis() - since < DEAD_MILLIS) {
                if (Thread.interrupted()) {
                    throw new InterruptedException();
                }
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(LOOK_MILLIS));
                String now = get(read());
                if (isForeign(now) && !now.equals(seen)) {
                    throw refused(now);
                }
                seen = now;
            }
            if (isForeign(seen)) {
                LOG.warn("Took the lease of {} over from job {}, which does not write any more", place.job(), seen);
            }
            if (writes) {
                get(write());
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof AuthorizationException) {
                LOG.warn(
                        "Cannot see whether another job {} runs: {}. Grant Read on the group {}.",
                        place.job(),
                        e.getCause().getMessage(),
                        place.group());
                silent = true;
                return;
            }
            throw unreadable(e);
        } catch (TimeoutException e) {
            throw unreadable(e);
        }
    }

    private IOException unreadable(Exception e) {
        return new IOException(
                "Cannot read the lease of the job: expected an answer within " + PATIENCE.toSeconds() + " s, got " + e
                        + " (group " + place.group() + "). Check the broker.",
                e);
    }

    private SuppressRestartsException refused(String holder) {
        return new SuppressRestartsException(new ConfigError(
                "Cannot run the job: expected no other of the name " + place.job() + ", got one with id "
                        + holder.split(" ", 2)[0] + " at work. Stop it, or give this one another job.name."));
    }

    /**
     * Renews the lease; to be called every {@link #BEAT_MILLIS}. The broker's answer is heard at the next call.
     *
     * @throws SuppressRestartsException when another job has taken it over
     */
    void beat() {
        String other = displacedBy;
        if (other != null) {
            throw refused(other);
        }
        if (silent || !writes) {
            return;
        }
        read().whenComplete((seen, failure) -> {
            if (failure != null) {
                LOG.debug("The lease cannot be read", failure);
            } else if (isForeign(seen)) {
                displacedBy = seen;
            } else if (!closed) {
                write();
            }
        });
    }

    private boolean isForeign(String seen) {
        return !seen.isEmpty() && !seen.startsWith(own + " ");
    }

    private KafkaFuture<String> read() {
        return admin.listConsumerGroupOffsets(Map.of(place.group(), new ListConsumerGroupOffsetsSpec()))
                .partitionsToOffsetAndMetadata(place.group())
                .thenApply(offsets -> {
                    OffsetAndMetadata found = offsets.get(place.partition());
                    return found == null ? "" : found.metadata();
                });
    }

    private KafkaFuture<Void> write() {
        return put(own + " " + beats.incrementAndGet());
    }

    private KafkaFuture<Void> put(String text) {
        return admin.alterConsumerGroupOffsets(place.group(), Map.of(place.partition(), new OffsetAndMetadata(0, text)))
                .all();
    }

    private static <T> T get(KafkaFuture<T> future) throws InterruptedException, ExecutionException, TimeoutException {
        return future.get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
    }

    /**
     * Gives the lease back, so that the next start need not wait. Whoever closes a cancelled task has been interrupted, which must
     * not keep the broker from hearing of it.
     */
    @Override
    public void close() {
        closed = true;
        boolean interrupted = Thread.interrupted();
        try {
            if (writes && !silent && displacedBy == null && beats.get() > 0) {
                put("").get(GOODBYE_MILLIS, TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            interrupted = true;
        } catch (ExecutionException | TimeoutException e) {
            LOG.warn(
                    "Cannot give the lease of {} back: the next start waits for its end. {}",
                    place.job(),
                    e.toString());
        } finally {
            admin.close(Duration.ZERO);
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
