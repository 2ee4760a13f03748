package dev.freshet.cli;

import dev.freshet.job.TopicTail;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import dev.freshet.schema.RequestMetrics;
import dev.freshet.schema.TokenChunk;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.HdrHistogram.Histogram;
import org.jspecify.annotations.Nullable;

/**
 * Matches answers with requests by their ids and keeps durations. Durations begin when a request was due, not when it was sent, so that a
 * sender or a broker that is held up hides nothing. Requests due in the warm-up are answered but not measured. Confined to one thread.
 */
final class LoadTally {

    private static final int DIGITS = 3;
    private static final double MICROS_A_MILLI = 1e3;
    private static final long NANOS_A_MILLI = 1_000_000;

    private final Traffic traffic;
    private final String prefix;
    private final boolean stream;
    private final long startMillis;
    private final long warmMillis;
    private final long endMillis;
    private final BitSet answered = new BitSet();
    private final BitSet begun = new BitSet();
    private final Map<LoadSpan, Histogram> spans = new EnumMap<>(LoadSpan.class);
    private final Map<String, Long> errors = new TreeMap<>();
    private final Map<Integer, Metric> engines = new HashMap<>();
    private long duplicates;
    private long measured;
    private long writtenBeforeWindow;
    private long writtenInWindow;
    private long promptTokens;
    private long tokens;
    private long windowPromptTokens;
    private long windowTokens;
    private long lastWritten = Long.MIN_VALUE;

    /**
     * Starts to count.
     *
     * @param prefix of the ids of this run's requests; a number follows
     * @param stream whether the first chunk, as it is read, is the first token
     * @param startMillis when the run starts, epoch milliseconds
     * @param warmSeconds length of the warm-up
     */
    LoadTally(Traffic traffic, String prefix, boolean stream, long startMillis, double warmSeconds) {
        this.traffic = traffic;
        this.prefix = prefix;
        this.stream = stream;
        this.startMillis = startMillis;
        this.warmMillis = Math.round(warmSeconds * MICROS_A_MILLI);
        this.endMillis = Math.round(traffic.seconds() * MICROS_A_MILLI);
        for (LoadSpan span : LoadSpan.values()) {
            spans.put(span, new Histogram(DIGITS));
        }
    }

    /** Takes a record that was read at a time, epoch milliseconds. */
    void take(TopicTail.Item item, long nowMillis) {
        if (item.value() instanceof Completion completion) {
            int number = number(completion.getId());
            if (isNew(number)) {
                complete(number, completion, item.timestampMillis() - startMillis, nowMillis - startMillis);
            }
        } else if (item.value() instanceof TopicTail.Letter letter) {
            int number = number(letter.id());
            if (isNew(number)) {
                fail(letter.code(), item.timestampMillis() - startMillis);
            }
        } else if (item.value() instanceof TokenChunk chunk) {
            int number = number(chunk.getId());
            if (stream && number >= 0 && !begun.get(number)) {
                begun.set(number);
                record(LoadSpan.FIRST_TOKEN, number, nowMillis - startMillis - due(number));
            }
        } else if (item.value() instanceof Metric metric) {
            engines.put(metric.getEngine(), metric);
        }
    }

    /** The number of one of this run's requests, or -1 for the id of another. */
    private int number(String id) {
        if (!id.startsWith(prefix)) {
            return -1;
        }
        try {
            int number = Integer.parseInt(id, prefix.length(), id.length(), 10);
            return number < traffic.arrivals().size() ? number : -1;
        } catch (NumberFormatException e) {
            return -1;
        }
    }

    private boolean isNew(int number) {
        if (number < 0) {
            return false;
        }
        if (answered.get(number)) {
            duplicates++;
            return false;
        }
        answered.set(number);
        return true;
    }

    private void complete(int number, Completion completion, long written, long read) {
        if (completion.getError() != null) {
            fail(completion.getError().getCode(), written);
            return;
        }
        note(written);
        long generated =
                completion.getUsage() == null ? 0 : completion.getUsage().getCompletionTokens();
        long prompt = completion.getUsage() == null ? 0 : completion.getUsage().getPromptTokens();
        tokens += generated;
        promptTokens += prompt;
        if (written >= warmMillis && written < endMillis) {
            windowTokens += generated;
            windowPromptTokens += prompt;
        }
        if (isMeasured(number)) {
            measured++;
        }
        record(LoadSpan.LATENCY, number, read - due(number));
        record(LoadSpan.WRITTEN, number, written - due(number));
        RequestMetrics metrics = completion.getMetrics();
        if (metrics == null) {
            return;
        }
        Double generating = metrics.getGenerationTimeMs();
        if (!stream && generating != null) {
            record(LoadSpan.FIRST_TOKEN, number, written - generating - due(number));
        }
        record(LoadSpan.INTER_TOKEN, number, metrics.getMeanItlMs());
        record(LoadSpan.JOB_FIRST_TOKEN, number, metrics.getTimeToFirstTokenMs());
        record(LoadSpan.JOB_QUEUE, number, metrics.getQueueTimeMs());
    }

    private void fail(String code, long written) {
        note(written);
        errors.merge(code, 1L, Long::sum);
    }

    private void note(long written) {
        lastWritten = Math.max(lastWritten, written);
        if (written < warmMillis) {
            writtenBeforeWindow++;
        } else if (written < endMillis) {
            writtenInWindow++;
        }
    }

    /** Clocks of two machines may differ by a little, but no duration is negative. */
    private void record(LoadSpan span, int number, @Nullable Number millis) {
        if (millis != null && isMeasured(number)) {
            span(span).recordValue(Math.max(0, Math.round(millis.doubleValue() * MICROS_A_MILLI)));
        }
    }

    private double due(int number) {
        return traffic.arrivals().get(number).nanos() / (double) NANOS_A_MILLI;
    }

    private boolean isMeasured(int number) {
        return due(number) >= warmMillis;
    }

    /** Requests due in a span of time, milliseconds after the start. */
    private long due(long from, long to) {
        return traffic.arrivals().stream()
                .filter(a -> a.nanos() >= from * NANOS_A_MILLI && a.nanos() < to * NANOS_A_MILLI)
                .count();
    }

    /** Requests with an outcome, of whatever kind. */
    int answered() {
        return answered.cardinality();
    }

    /** Requests with a second outcome, which a job never writes. */
    long duplicates() {
        return duplicates;
    }

    /** Requests whose durations were taken. */
    long measured() {
        return measured;
    }

    /** Outcomes that are no texts, by code. */
    Map<String, Long> errors() {
        return errors;
    }

    /** Durations in microseconds. */
    Histogram span(LoadSpan span) {
        return Objects.requireNonNull(spans.get(span));
    }

    /** Sequences in slots, as the job said last. */
    long running() {
        return engines.values().stream()
                .mapToLong(Metric::getNumRequestsRunning)
                .sum();
    }

    /** Requests that wait in the job for a slot, as it said last. */
    long waiting() {
        return engines.values().stream()
                .mapToLong(Metric::getNumRequestsWaiting)
                .sum();
    }

    /** Tokens of prompts that were answered, and generated ones. */
    long[] tokens() {
        return new long[] {promptTokens, tokens};
    }

    /** Rates between the end of the warm-up and the last request, and what was open at both. */
    Window window() {
        double seconds = Math.max(1, endMillis - warmMillis) / MICROS_A_MILLI;
        long offered = due(warmMillis, endMillis);
        long openBefore = due(0, warmMillis) - writtenBeforeWindow;
        return new Window(
                seconds,
                offered / seconds,
                writtenInWindow / seconds,
                windowPromptTokens / seconds,
                windowTokens / seconds,
                openBefore,
                openBefore + offered - writtenInWindow);
    }

    /** Seconds from the end of the traffic to the last answer. */
    double drainSeconds() {
        return Math.max(0, lastWritten - endMillis) / MICROS_A_MILLI;
    }

    /**
     * What happened while requests came, without the warm-up: answers count when they are written, by the job's clock.
     *
     * @param seconds its length
     * @param offered requests a second that were due
     * @param served requests a second that were answered
     * @param promptTokens tokens a second of their prompts
     * @param tokens tokens a second generated for them
     * @param openBefore requests due before and not answered at its beginning
     * @param openAfter requests due and not answered at its end
     */
    record Window(
            double seconds,
            double offered,
            double served,
            double promptTokens,
            double tokens,
            long openBefore,
            long openAfter) {

        private static final double NOTABLE = 0.05;

        /** Whether the job served as many requests as came: it did not when open ones grew by a twentieth of those offered. */
        boolean keptUp() {
            return openAfter - openBefore <= Math.max(1, NOTABLE * offered * seconds);
        }
    }
}
