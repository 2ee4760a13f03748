package dev.freshet.operator;

import dev.freshet.engine.Engine;
import dev.freshet.engine.FinishReason;
import dev.freshet.engine.StepResult;
import dev.freshet.request.ErrorCode;
import dev.freshet.schema.Metric;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.Histogram;
import org.apache.flink.metrics.MeterView;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.runtime.metrics.DescriptiveStatisticsHistogram;
import org.jspecify.annotations.Nullable;

/**
 * What a subtask counts and times: for Flink's metric system under the group {@code llm}, and for the records of the metrics
 * topic. Durations come from the caller; nothing here reads a clock. Confined to the task thread.
 */
final class EngineMetrics {

    private static final int FLINK_WINDOW = 1000;
    private static final int RECENT = 10;

    private final Engine engine;
    private final int slots;
    private final Counter promptTokens;
    private final Counter generationTokens;
    private final Counter drafts;
    private final Counter draftTokens;
    private final Counter acceptedTokens;
    private final Counter verifications;
    private final Counter deadLetters;
    private final Counter duplicates;
    private final Counter deadlineExceeded;
    private final Counter cancelled;
    private final Counter resumed;
    private final Counter recomputed;
    private final Map<FinishReason, Counter> finished = new EnumMap<>(FinishReason.class);
    private final Timing firstToken;
    private final Timing interToken;
    private final Timing endToEnd;
    private final Timing queue;
    private long checkpointedBytes;
    private long steps;
    private long slotSteps;
    private Mark last = new Mark(0, 0, 0, 0, 0, 0);

    /** Counters at the start of the interval at hand. */
    private record Mark(long prompt, long generation, long drafts, long accepted, long steps, long slotSteps) {}

    /** One kind of duration: for Flink, for the interval at hand, for the last ten of them and for the whole run. */
    private static final class Timing {
        private final Histogram flink;
        private final DurationHistogram interval = new DurationHistogram();
        private final DurationHistogram whole = new DurationHistogram();
        private final DurationHistogram[] recent = new DurationHistogram[RECENT];
        private int oldest;
        private volatile double median;
        private volatile double high;

        Timing(MetricGroup group, String name) {
            flink = group.histogram(name, new DescriptiveStatisticsHistogram(FLINK_WINDOW));
            Arrays.setAll(recent, i -> new DurationHistogram());
            // Some metric systems drop histograms, and Flink's hold whole milliseconds only: the usual quantiles are
            // gauges too, 0 when nothing was timed in the last ten intervals.
            group.gauge(name + "P50", (Gauge<Double>) () -> median);
            group.gauge(name + "P99", (Gauge<Double>) () -> high);
        }

        void record(double millis, int times) {
            flink.update(Math.round(millis));
            interval.record(millis, times);
        }

        /** Moves the interval into the whole. */
        void roll() {
            whole.add(interval);
            recent[oldest].clear();
            recent[oldest].add(interval);
            oldest = (oldest + 1) % RECENT;
            interval.clear();
            DurationHistogram sum = new DurationHistogram();
            for (DurationHistogram part : recent) {
                sum.add(part);
            }
            median = sum.quantileMillis(0.5);
            high = sum.quantileMillis(0.99);
        }
    }

    EngineMetrics(Engine engine, int slots, String backend, MetricGroup operator) {
        this.engine = engine;
        this.slots = slots;
        MetricGroup group = operator.addGroup("llm");
        promptTokens = group.counter("numPromptTokens");
        generationTokens = group.counter("numGenerationTokens");
        group.meter("generationTokensPerSecond", new MeterView(generationTokens, 10));
        drafts = group.counter("specNumDrafts");
        draftTokens = group.counter("specNumDraftTokens");
        acceptedTokens = group.counter("specNumAcceptedTokens");
        verifications = group.counter("specNumVerifications");
        deadLetters = group.counter("numDeadLettered");
        duplicates = group.counter("numDuplicates");
        deadlineExceeded = group.counter("numDeadlineExceeded");
        cancelled = group.counter("numCancelled");
        resumed = group.counter("numResumedSequences");
        recomputed = new SimpleCounter();
        group.counter("numRecomputedTokens", recomputed);
        for (FinishReason reason : FinishReason.values()) {
            finished.put(
                    reason,
                    group.addGroup("finishedReason", reason.name().toLowerCase(Locale.ROOT))
                            .counter("numRequestsSucceeded"));
        }
        firstToken = new Timing(group, "timeToFirstTokenMs");
        interToken = new Timing(group, "interTokenLatencyMs");
        endToEnd = new Timing(group, "e2eLatencyMs");
        queue = new Timing(group, "queueTimeMs");
        group.gauge("numRequestsRunning", (Gauge<Integer>) engine::running);
        group.gauge("numRequestsWaiting", (Gauge<Integer>) engine::waiting);
        group.gauge("stateSlotsUsed", (Gauge<Integer>) engine::running);
        group.gauge("stateSlotsTotal", (Gauge<Integer>) () -> slots);
        group.gauge("batchOccupancy", (Gauge<Double>) () -> (double) engine.running() / slots);
        group.gauge("specAcceptanceLength", (Gauge<Double>)
                () -> acceptanceLength(drafts.getCount(), acceptedTokens.getCount()));
        group.gauge("specGain", (Gauge<Double>)
                () -> acceptanceLength(verifications.getCount(), acceptedTokens.getCount()));
        group.gauge("checkpointedStateBytes", (Gauge<Long>) () -> checkpointedBytes);
        group.addGroup("backend", backend).gauge("backend", (Gauge<Integer>) () -> 1);
    }

    private Counter count(FinishReason reason) {
        return Objects.requireNonNull(finished.get(reason));
    }

    void stepped(StepResult.Stats stats, int sequences) {
        promptTokens.inc(stats.promptTokens());
        generationTokens.inc(stats.generatedTokens());
        drafts.inc(stats.drafts());
        draftTokens.inc(stats.draftTokens());
        acceptedTokens.inc(stats.acceptedDraftTokens());
        // Every decoding sequence has one row that is neither prompt nor draft.
        verifications.inc(stats.rows() - stats.promptTokens() - stats.draftTokens());
        if (sequences > 0) {
            steps++;
            slotSteps += sequences;
        }
    }

    void admitted(double queuedMillis) {
        queue.record(queuedMillis, 1);
    }

    void firstToken(double millis) {
        firstToken.record(millis, 1);
    }

    void tokens(double millisEach, int count) {
        interToken.record(millisEach, count);
    }

    /** Counts an outcome that is a completion. */
    void finished(FinishReason reason, double endToEndMillis, @Nullable ErrorCode code) {
        count(reason).inc();
        endToEnd.record(endToEndMillis, 1);
        if (code == ErrorCode.DEADLINE_EXCEEDED) {
            deadlineExceeded.inc();
        } else if (code == ErrorCode.CANCELLED) {
            cancelled.inc();
        }
    }

    /** Counts a request that was refused before it ran. */
    void refused(@Nullable ErrorCode code) {
        count(code == ErrorCode.CANCELLED ? FinishReason.ABORT : FinishReason.ERROR)
                .inc();
        if (code == ErrorCode.DEADLINE_EXCEEDED) {
            deadlineExceeded.inc();
        } else if (code == ErrorCode.CANCELLED) {
            cancelled.inc();
        }
    }

    void deadLettered() {
        deadLetters.inc();
    }

    void duplicate() {
        duplicates.inc();
    }

    void resumed() {
        resumed.inc();
    }

    void recomputed(int tokens) {
        recomputed.inc(tokens);
    }

    void checkpointed(long bytes) {
        checkpointedBytes = bytes;
    }

    /** Returns the record of an interval, and begins the next one. */
    Metric interval(long endMillis, long lengthMillis) {
        Mark now = mark();
        Metric record = record("interval", endMillis, lengthMillis, last, now, false);
        roll();
        last = now;
        return record;
    }

    private void roll() {
        for (Timing timing : new Timing[] {firstToken, interToken, endToEnd, queue}) {
            timing.roll();
        }
    }

    /** Returns the record of the whole run; no interval may follow. */
    Metric summary(long endMillis, long lengthMillis) {
        roll();
        return record("summary", endMillis, lengthMillis, new Mark(0, 0, 0, 0, 0, 0), mark(), true);
    }

    private Mark mark() {
        return new Mark(
                promptTokens.getCount(),
                generationTokens.getCount(),
                drafts.getCount(),
                acceptedTokens.getCount(),
                steps,
                slotSteps);
    }

    private Metric record(String kind, long end, long length, Mark from, Mark to, boolean whole) {
        double seconds = Math.max(length, 1) / 1e3;
        long stepsTaken = to.steps() - from.steps();
        Metric m = new Metric();
        m.setKind(kind);
        m.setTimestampMs(end);
        m.setIntervalMs(length);
        m.setNumRequestsRunning(engine.running());
        m.setNumRequestsWaiting(engine.waiting());
        m.setPromptTokensTotal(to.prompt());
        m.setGenerationTokensTotal(to.generation());
        m.setPromptTokensPerSecond((to.prompt() - from.prompt()) / seconds);
        m.setGenerationTokensPerSecond((to.generation() - from.generation()) / seconds);
        m.setRequestsStopTotal(count(FinishReason.STOP).getCount());
        m.setRequestsLengthTotal(count(FinishReason.LENGTH).getCount());
        m.setRequestsAbortTotal(count(FinishReason.ABORT).getCount());
        m.setRequestsErrorTotal(count(FinishReason.ERROR).getCount());
        m.setStateSlotsUsed(engine.running());
        m.setStateSlotsTotal(slots);
        m.setBatchOccupancy(stepsTaken == 0 ? 0 : (double) (to.slotSteps() - from.slotSteps()) / stepsTaken / slots);
        m.setTimeToFirstTokenSeconds((whole ? firstToken.whole : firstToken.interval).percentiles());
        m.setInterTokenLatencySeconds((whole ? interToken.whole : interToken.interval).percentiles());
        m.setE2eRequestLatencySeconds((whole ? endToEnd.whole : endToEnd.interval).percentiles());
        m.setRequestQueueTimeSeconds((whole ? queue.whole : queue.interval).percentiles());
        m.setSpecDecodeNumDraftsTotal(to.drafts());
        m.setSpecDecodeNumDraftTokensTotal(draftTokens.getCount());
        m.setSpecDecodeNumAcceptedTokensTotal(to.accepted());
        m.setSpecDecodeMeanAcceptanceLength(
                acceptanceLength(to.drafts() - from.drafts(), to.accepted() - from.accepted()));
        m.setDeadLettersTotal(deadLetters.getCount());
        m.setDuplicatesTotal(duplicates.getCount());
        m.setDeadlineExceededTotal(deadlineExceeded.getCount());
        m.setCancelledTotal(cancelled.getCount());
        m.setResumedSequencesTotal(resumed.getCount());
        m.setRecomputedTokensTotal(recomputed.getCount());
        m.setCheckpointedStateBytes(checkpointedBytes);
        return m;
    }

    /** Tokens of a pass: its own and the accepted. Over all passes, not only those with drafts, it is the gain of speculation. */
    private static double acceptanceLength(long passes, long accepted) {
        return passes == 0 ? 1 : 1 + (double) accepted / passes;
    }
}
