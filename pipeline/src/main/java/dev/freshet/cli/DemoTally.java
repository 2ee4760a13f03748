package dev.freshet.cli;

import dev.freshet.job.PromptFeed;
import dev.freshet.job.TopicTail;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import dev.freshet.schema.RequestMetrics;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the demo has seen in the topics. Its rates come from the records alone: tokens of the completions over the time from the first
 * prompt to the last completion, as the broker's records are stamped; the job's own numbers are kept apart. Confined to one thread.
 */
final class DemoTally {

    private static final double SECOND = 1e3;

    private final Map<String, Integer> records = new HashMap<>();
    private final Map<String, Long> sentAt = new HashMap<>();
    private final List<Double> firstTokens = new ArrayList<>();
    private final List<Double> latencies = new ArrayList<>();
    private long firstSent = Long.MAX_VALUE;
    private long lastOutcome = Long.MIN_VALUE;
    private int open;
    private int texts;
    private int errors;
    private long tokens;
    private long drafts;
    private long drafted;
    private long accepted;
    private @Nullable Metric latest;
    private @Nullable Metric summary;

    /** Notes records that were written to the prompts topic. */
    void sent(String topic, List<PromptFeed.Sent> all) {
        for (PromptFeed.Sent one : all) {
            sentAt.put(one.partition() + "@" + one.offset(), one.timestampMillis());
            firstSent = Math.min(firstSent, one.timestampMillis());
            records.merge(topic, 1, Integer::sum);
            open++;
        }
    }

    /** Notes an output record. */
    void take(TopicTail.Item item) {
        records.merge(item.topic(), 1, Integer::sum);
        if (item.value() instanceof Completion completion) {
            completion(completion, item.timestampMillis());
        } else if (item.value() instanceof TopicTail.Letter letter) {
            close(letter.partition() + "@" + letter.offset());
        } else if (item.value() instanceof Metric metric) {
            latest = metric;
            summary = metric.getKind().equals("summary") ? metric : summary;
        }
    }

    private void completion(Completion c, long timestamp) {
        Long sent = close(c.getSourcePartition() + "@" + c.getSourceOffset());
        lastOutcome = Math.max(lastOutcome, timestamp);
        if (c.getError() != null) {
            errors++;
        } else {
            texts++;
            if (sent != null) {
                latencies.add((timestamp - sent) / SECOND);
            }
        }
        tokens += c.getUsage() == null ? 0 : c.getUsage().getCompletionTokens();
        RequestMetrics m = c.getMetrics();
        if (m != null) {
            drafts += m.getSpecNumDrafts();
            drafted += m.getSpecNumDraftTokens();
            accepted += m.getSpecNumAcceptedTokens();
            if (m.getTimeToFirstTokenMs() != null) {
                firstTokens.add(m.getTimeToFirstTokenMs() / SECOND);
            }
        }
    }

    private @Nullable Long close(String position) {
        Long sent = sentAt.remove(position);
        if (sent != null) {
            open--;
        }
        return sent;
    }

    /** Records that were sent and have no outcome yet. */
    int open() {
        return open;
    }

    /** Completions with a text. */
    int texts() {
        return texts;
    }

    /** Completions that are errors. */
    int errors() {
        return errors;
    }

    /** Records seen in a topic, or sent to it. */
    int records(String topic) {
        return records.getOrDefault(topic, 0);
    }

    /** Generated tokens of all completions. */
    long tokens() {
        return tokens;
    }

    /** Seconds from the first prompt to the last completion. */
    double seconds() {
        return lastOutcome <= firstSent ? 0 : (lastOutcome - firstSent) / SECOND;
    }

    /** Generated tokens per second, 0 before the first completion. */
    double tokensPerSecond() {
        return seconds() == 0 ? 0 : tokens / seconds();
    }

    /** The latest record of the metrics topic, or null. */
    @Nullable
    Metric latest() {
        return latest;
    }

    /** The record with which the job summed up at its end, or null. */
    @Nullable
    Metric summary() {
        return summary;
    }

    /** Verifications of a draft, drafted tokens, and those accepted. */
    long[] speculation() {
        return new long[] {drafts, drafted, accepted};
    }

    /** Quantile of the time to the first token in seconds, from the completions; NaN without any. */
    double firstToken(double quantile) {
        return quantile(firstTokens, quantile);
    }

    /** Quantile of the time from prompt to completion in seconds, from the records' stamps; NaN without any. */
    double latency(double quantile) {
        return quantile(latencies, quantile);
    }

    /** The smallest value that so large a share does not exceed. */
    private static double quantile(List<Double> values, double share) {
        if (values.isEmpty()) {
            return Double.NaN;
        }
        List<Double> sorted = new ArrayList<>(values);
        Collections.sort(sorted);
        int rank = (int) Math.ceil(share * sorted.size());
        return sorted.get(Math.max(0, rank - 1));
    }
}
