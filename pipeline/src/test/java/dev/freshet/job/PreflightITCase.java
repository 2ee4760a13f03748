package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.harness.SharedKafka;
import dev.freshet.request.ConfigError;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.Test;

/** What a job cannot keep its promises with is refused before it starts, in words that name the cure. */
class PreflightITCase {

    private static JobOptions options(Map<String, String> more) {
        Map<String, String> values = new HashMap<>(
                Map.of("kafka.bootstrap.servers", SharedKafka.bootstrapServers(), "model.directory", "none"));
        values.putAll(more);
        return JobOptions.of(values);
    }

    private static Set<String> topics() throws Exception {
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", SharedKafka.bootstrapServers()))) {
            return admin.listTopics().names().get();
        }
    }

    @Test
    void aTransactionMustOutliveCheckpointAndOutageTenTimes() {
        Map<String, String> values =
                new HashMap<>(Map.of("checkpoint.timeout", "1 min", "delivery.outage", "30 s", "input.topic", "ten"));
        values.put("delivery.transaction-timeout", "899 s");
        assertThatThrownBy(() -> Preflight.run(options(values)))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("at least 15 min")
                .hasMessageContaining("899 s");
        values.put("delivery.transaction-timeout", "900 s");
        Preflight.run(options(values));
        values.put("delivery.transaction-timeout", "1 s");
        values.put("delivery.guarantee", "at-least-once");
        Preflight.run(options(values));
    }

    @Test
    void theBrokerMustAllowTheTimeout() {
        assertThatThrownBy(() -> Preflight.run(options(Map.of("delivery.transaction-timeout", "25 h"))))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("transaction.max.timeout.ms (86400000 ms)")
                .hasMessageContaining("90000000 ms");
    }

    @Test
    void theDefaultsFitAStockBroker() {
        Preflight.run(options(Map.of("input.topic", "stock")));
    }

    @Test
    void transactionsBeforeVersionTwoAreWarnedOf() {
        assertThat(Preflight.oldTransactions(0))
                .contains("transaction.version 0")
                .contains("kafka-features");
        assertThat(Preflight.oldTransactions(1)).isNotNull();
        assertThat(Preflight.oldTransactions(2)).isNull();
        assertThat(Preflight.oldTransactions(3)).isNull();
    }

    @Test
    void strictDeliveryRefusesWhereOthersAreWarned() {
        String old = Preflight.oldTransactions(1);
        Preflight.refuseOrWarn(false, old);
        Preflight.refuseOrWarn(true, null);
        assertThatThrownBy(() -> Preflight.refuseOrWarn(true, old))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("transaction.version 1");
        // The embedded broker has the new transactions.
        Preflight.run(options(Map.of("input.topic", "strict", "delivery.strict", "true")));
    }

    @Test
    void missingTopicsAreCreatedOnlyWhenAllowed() throws Exception {
        Map<String, String> values = new HashMap<>(Map.of(
                "input.topic", "made",
                "completions.topic", "made.answers",
                "completions.reply-topics", "made.replies",
                "topics.create", "false"));
        assertThatThrownBy(() -> Preflight.run(options(values)))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("made.replies");
        assertThat(topics()).doesNotContain("made");
        values.put("topics.create", "true");
        Preflight.run(options(values));
        Set<String> wanted = Set.of("made", "made.answers", "made.replies", "made.dlq");
        // A broker lists a new topic a moment after it has made it.
        for (int i = 0; i < 200 && !topics().containsAll(wanted); i++) {
            LockSupport.parkNanos(50_000_000);
        }
        assertThat(topics()).containsAll(wanted);
        Preflight.run(options(values));
    }
}
