package dev.freshet.job;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * How much the engines did, by their own metrics, and how much was needed. An engine's counters begin at zero again when its task
 * does; what it did between its last metrics and its death, a fifth of a second, is not seen.
 *
 * @param runs lives of engines: how often a task began
 * @param tokens prompt and output tokens that were run
 * @param needed those of the committed completions, each once
 * @param recomputed tokens that restored sequences had already run and that were run again for their state
 * @param leaks metric records with text of a prompt or a secret
 */
record ChaosWork(int runs, long tokens, long needed, long recomputed, List<String> leaks) {

    /** Reads the topics of a job that has answered everything, and may go on telling its metrics. */
    static ChaosWork read(JobOptions options) throws InterruptedException {
        Map<Integer, List<Metric>> byEngine = new HashMap<>();
        List<String> leaks = new ArrayList<>();
        long needed = 0;
        long recomputed = 0;
        long now = System.currentTimeMillis();
        try (TopicTail tail = new TopicTail(options, true)) {
            for (int quiet = 0; quiet < 10; quiet++) {
                for (TopicTail.Item item : tail.poll(Duration.ofMillis(200))) {
                    quiet = item.timestampMillis() < now ? 0 : quiet;
                    if (item.value() instanceof Metric metric
                            && metric.getKind().equals("interval")) {
                        byEngine.computeIfAbsent(metric.getEngine(), e -> new ArrayList<>())
                                .add(metric);
                        if (ChaosLeaks.hides(metric.toString())) {
                            leaks.add("a metric of engine " + metric.getEngine());
                        }
                    } else if (item.value() instanceof Completion c && c.getError() == null) {
                        needed += c.getUsage().getPromptTokens() + c.getUsage().getCompletionTokens();
                        recomputed += c.getMetrics().getRecomputedTokens();
                    }
                }
            }
        }
        int runs = 0;
        long tokens = 0;
        for (List<Metric> metrics : byEngine.values()) {
            metrics.sort(Comparator.comparing(Metric::getTimestampMs));
            long last = 0;
            runs++;
            for (Metric metric : metrics) {
                long total = metric.getPromptTokensTotal() + metric.getGenerationTokensTotal();
                if (total < last) {
                    runs++;
                    tokens += last;
                }
                last = total;
            }
            tokens += last;
        }
        return new ChaosWork(runs, tokens, needed, recomputed, List.copyOf(leaks));
    }
}
