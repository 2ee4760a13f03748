package dev.freshet.job;

import dev.freshet.request.ConfigError;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.apache.flink.util.TimeUtils;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.FinalizedVersionRange;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks the broker before a job starts whether the job can keep its promises there, and creates missing topics. What cannot be
 * kept is a {@link ConfigError} now and not lost data later.
 */
public final class Preflight {

    private static final Logger LOG = LoggerFactory.getLogger(Preflight.class);
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final Duration LOOK = Duration.ofMillis(50);
    private static final int LOOKS = 400;

    /** A transaction must outlive this many times what a checkpoint and an outage may take (reliability rule R0.1). */
    private static final int SAFETY = 10;

    private final JobOptions options;

    private Preflight(JobOptions options) {
        this.options = options;
    }

    /**
     * Checks broker, transactions and topics, and creates the topics that are missing.
     *
     * @throws ConfigError naming what is wrong and its cure
     */
    public static void run(JobOptions options) {
        new Preflight(options).check();
    }

    private void check() {
        requireLongTransactions();
        Map<String, Object> client = new LinkedHashMap<>(options.kafka());
        if (!client.containsKey("default.api.timeout.ms") && !client.containsKey("request.timeout.ms")) {
            // A client refuses to wait for a whole call shorter than for one request.
            client.put("default.api.timeout.ms", String.valueOf(PATIENCE.toMillis()));
            client.put("request.timeout.ms", String.valueOf(PATIENCE.toMillis()));
        }
        try (Admin admin = Admin.create(client)) {
            Node broker = anyBroker(admin);
            if (options.delivery().exactlyOnce()) {
                requirePatientBroker(admin, broker);
                checkTransactionVersion(admin);
            }
            requireTopics(admin);
        } catch (KafkaException e) {
            throw new ConfigError(
                    "Cannot start the job: expected usable kafka.* properties, got " + rootMessage(e)
                            + ". Correct the properties.",
                    e);
        }
    }

    private Node anyBroker(Admin admin) {
        try {
            return get(admin.describeCluster().nodes()).iterator().next();
        } catch (ExecutionException | TimeoutException e) {
            throw new ConfigError(
                    "Cannot start the job: expected a Kafka broker, got no answer within " + PATIENCE.toSeconds()
                            + " s (" + options.kafka().get("bootstrap.servers")
                            + "). Start the broker or correct kafka.bootstrap.servers.",
                    e);
        }
    }

    /** A transaction that the broker gives up after its checkpoint is complete is lost without an error. */
    private void requireLongTransactions() {
        if (!options.delivery().exactlyOnce()) {
            return;
        }
        Duration least = options.checkpoints()
                .timeout()
                .plus(options.delivery().outage())
                .multipliedBy(SAFETY);
        if (options.delivery().transactionTimeout().compareTo(least) < 0) {
            throw new ConfigError("Cannot deliver exactly once: expected delivery.transaction-timeout of at least "
                    + TimeUtils.formatWithHighestUnit(least) + " (" + SAFETY
                    + " times checkpoint.timeout plus delivery.outage), got "
                    + TimeUtils.formatWithHighestUnit(options.delivery().transactionTimeout())
                    + ". Raise it, or lower the other two.");
        }
    }

    private void requirePatientBroker(Admin admin, Node broker) {
        String key = "transaction.max.timeout.ms";
        ConfigResource resource = new ConfigResource(ConfigResource.Type.BROKER, broker.idString());
        String most;
        try {
            Config config = get(admin.describeConfigs(List.of(resource)).all()).get(resource);
            ConfigEntry entry = config == null ? null : config.get(key);
            most = entry == null || entry.value() == null ? "" : entry.value();
        } catch (ExecutionException | TimeoutException e) {
            throw new ConfigError(
                    "Cannot deliver exactly once: expected to read " + key + " from broker " + broker.idString()
                            + ", got " + reason(e) + ". Grant DescribeConfigs on the cluster.",
                    e);
        }
        long wanted = options.delivery().transactionTimeout().toMillis();
        if (most.isEmpty()) {
            LOG.warn(
                    "Broker {} does not tell its {}: a transaction timeout that is too long fails at the first write.",
                    broker.idString(),
                    key);
        } else if (wanted > Long.parseLong(most)) {
            throw new ConfigError(
                    "Cannot deliver exactly once: expected delivery.transaction-timeout of at most the broker's "
                            + key + " (" + most + " ms), got " + wanted + " ms. Raise " + key
                            + " on the broker, or lower delivery.transaction-timeout.");
        }
    }

    private void checkTransactionVersion(Admin admin) {
        String warning;
        try {
            FinalizedVersionRange version = get(admin.describeFeatures().featureMetadata())
                    .finalizedFeatures()
                    .get("transaction.version");
            warning = oldTransactions(version == null ? 0 : version.maxVersionLevel());
        } catch (ExecutionException | TimeoutException e) {
            warning = "The broker does not tell its transaction.version: " + reason(e) + ".";
        }
        refuseOrWarn(options.delivery().strict(), warning);
    }

    /** Where the job must be strict, a doubt is a reason not to start. */
    static void refuseOrWarn(boolean strict, @Nullable String warning) {
        if (warning != null && strict) {
            throw new ConfigError("Cannot deliver exactly once: expected transaction.version 2 under delivery.strict,"
                    + " got less or no answer. " + warning);
        } else if (warning != null) {
            LOG.warn(warning);
        }
    }

    /** What to tell about a broker with this transaction.version, or null when all is well. */
    static @Nullable String oldTransactions(int version) {
        return version >= 2
                ? null
                : "The broker runs transaction.version " + version
                        + ": before 2 (KIP-890) a late write of a dead task can still reach a topic. Upgrade the feature"
                        + " with kafka-features.";
    }

    private void requireTopics(Admin admin) {
        List<String> missing = new ArrayList<>();
        try {
            Set<String> present = get(admin.listTopics().names());
            for (String topic : topics()) {
                if (!present.contains(topic)) {
                    missing.add(topic);
                }
            }
            if (missing.isEmpty()) {
                return;
            }
            if (!options.output().createTopics()) {
                throw new ConfigError(
                        "Cannot start the job: expected the topics " + String.join(", ", topics()) + ", got none of "
                                + String.join(", ", missing) + ". Create them, or set topics.create to true.");
            }
            create(admin, missing);
        } catch (ExecutionException | TimeoutException e) {
            throw new ConfigError(
                    "Cannot create the topics " + String.join(", ", missing) + ": expected success, got " + reason(e)
                            + ". Create them by hand, or grant Create on the cluster.",
                    e);
        }
    }

    private void create(Admin admin, List<String> missing) throws ExecutionException, TimeoutException {
        List<NewTopic> wanted = new ArrayList<>();
        Map<TopicPartition, OffsetSpec> created = new LinkedHashMap<>();
        for (String topic : missing) {
            NewTopic creation = new NewTopic(
                    topic, options.output().partitions(), options.output().replicas());
            wanted.add(creation);
        }
        for (Map.Entry<String, KafkaFuture<Void>> creation :
                admin.createTopics(wanted).values().entrySet()) {
            try {
                get(creation.getValue());
                LOG.info(
                        "Created topic {} with {} partitions",
                        creation.getKey(),
                        options.output().partitions());
                for (int i = 0; i < options.output().partitions(); i++) {
                    created.put(new TopicPartition(creation.getKey(), i), OffsetSpec.latest());
                }
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof TopicExistsException)) {
                    throw e;
                }
            }
        }
        awaitLeaders(admin, created);
    }

    /**
     * Waits until new partitions take records, a moment after clients know of them: an idempotent producer whose first batch is
     * refused in that moment and whose second is taken stays out of sequence for ever. Only a leader that works tells an offset.
     */
    private static void awaitLeaders(Admin admin, Map<TopicPartition, OffsetSpec> partitions) throws TimeoutException {
        for (int look = 0; look < LOOKS; look++) {
            try {
                get(admin.listOffsets(partitions).all());
                return;
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof RetriableException)) {
                    LOG.warn("Cannot ask whether the new topics are ready: {}", reason(e));
                    return;
                }
            }
            LockSupport.parkNanos(LOOK.toNanos());
        }
        throw new TimeoutException("the new topics have no leader that takes records");
    }

    private List<String> topics() {
        JobOptions.Output output = options.output();
        List<String> topics = new ArrayList<>();
        topics.add(options.input().topic());
        if (options.input().control() != null) {
            topics.add(options.input().control());
        }
        topics.add(output.completions().topic());
        topics.add(output.deadLetters());
        if (output.chunks() != null) {
            topics.add(output.chunks().topic());
        }
        if (output.metrics() != null) {
            topics.add(output.metrics().topic());
        }
        topics.addAll(output.replyTopics());
        return topics.stream().distinct().toList();
    }

    private static <T> T get(KafkaFuture<T> future) throws ExecutionException, TimeoutException {
        try {
            return future.get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TimeoutException("interrupted");
        }
    }

    /** Kafka wraps what is wrong with a property in exceptions that do not say it. */
    private static String rootMessage(Throwable e) {
        Throwable cause = e;
        while (cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        return cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    }

    private static String reason(Exception e) {
        Throwable cause = e instanceof ExecutionException && e.getCause() != null ? e.getCause() : e;
        return cause.getClass().getSimpleName() + (cause.getMessage() == null ? "" : ": " + cause.getMessage());
    }
}
