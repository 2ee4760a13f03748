package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.job.TopicTail;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Failure;
import dev.freshet.schema.Metric;
import dev.freshet.schema.RequestMetrics;
import dev.freshet.schema.TokenChunk;
import dev.freshet.schema.Usage;
import java.util.ArrayList;
import java.util.List;
import org.HdrHistogram.Histogram;
import org.junit.jupiter.api.Test;

class LoadTallyTest {

    private static final long START = 1_700_000_000_000L;

    /** A request each 100 ms for ten seconds. */
    private static final Traffic TRAFFIC = traffic();

    private static Traffic traffic() {
        List<Traffic.Arrival> arrivals = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            arrivals.add(new Traffic.Arrival(i * 100_000_000L, 10, 20));
        }
        return new Traffic("t", arrivals, 10);
    }

    private final LoadTally tally = new LoadTally(TRAFFIC, "load-1-", false, START, 2);

    private static Completion completion(int number) {
        return Completion.newBuilder()
                .setId("load-1-" + number)
                .setFinishReason("length")
                .setUsage(new Usage(10L, 20L, 0L))
                .setMetrics(RequestMetrics.newBuilder()
                        .setTimeToFirstTokenMs(30.0)
                        .setGenerationTimeMs(190.0)
                        .setQueueTimeMs(5.0)
                        .setMeanItlMs(10.0)
                        .build())
                .build();
    }

    /** An answer that is written some milliseconds after its request was due, and read so much later. */
    private void answer(int number, long after, long read) {
        long written = START + number * 100L + after;
        tally.take(new TopicTail.Item("completions", written, completion(number)), written + read);
    }

    private static double p50(Histogram h) {
        return h.getValueAtPercentile(50) / 1e3;
    }

    @Test
    void durationsBeginWhenARequestWasDue() {
        for (int i = 0; i < 100; i++) {
            answer(i, i % 2 == 0 ? 250 : 450, 1000);
        }
        assertThat(tally.answered()).isEqualTo(100);
        assertThat(tally.measured()).isEqualTo(80);
        assertThat(tally.span(LoadSpan.LATENCY).getTotalCount()).isEqualTo(80);
        assertThat(p50(tally.span(LoadSpan.WRITTEN))).isCloseTo(250, within(1.0));
        assertThat(tally.span(LoadSpan.WRITTEN).getValueAtPercentile(99) / 1e3).isCloseTo(450, within(1.0));
        assertThat(p50(tally.span(LoadSpan.LATENCY))).isCloseTo(1250, within(2.0));
        assertThat(p50(tally.span(LoadSpan.FIRST_TOKEN))).isCloseTo(60, within(1.0));
        assertThat(p50(tally.span(LoadSpan.JOB_FIRST_TOKEN))).isCloseTo(30, within(1.0));
        assertThat(p50(tally.span(LoadSpan.JOB_QUEUE))).isCloseTo(5, within(0.1));
        assertThat(p50(tally.span(LoadSpan.INTER_TOKEN))).isCloseTo(10, within(0.1));
    }

    @Test
    void ratesAreThoseOfTheWindowAndADelayedJobDidNotKeepUp() {
        // Every second request is answered at once, the others after the traffic.
        for (int i = 0; i < 100; i++) {
            answer(i, i % 2 == 0 ? 50 : 20_000, 0);
        }
        LoadTally.Window window = tally.window();
        assertThat(window.seconds()).isEqualTo(8);
        assertThat(window.offered()).isEqualTo(10);
        assertThat(window.served()).isEqualTo(5);
        assertThat(window.tokens()).isEqualTo(100);
        assertThat(window.promptTokens()).isEqualTo(50);
        assertThat(window.openBefore()).isEqualTo(10);
        assertThat(window.openAfter()).isEqualTo(50);
        assertThat(window.keptUp()).isFalse();
        assertThat(tally.drainSeconds()).isCloseTo(19.9, within(0.01));
    }

    @Test
    void whatIsMissingOrTwiceOrForeignIsCounted() throws JsonProcessingException {
        for (int i = 0; i < 97; i++) {
            answer(i, 50, 0);
        }
        answer(3, 60, 0);
        tally.take(new TopicTail.Item("completions", START, completion(1000)), START);
        Completion foreign = completion(98);
        foreign.setId("load-2-98");
        tally.take(new TopicTail.Item("completions", START, foreign), START);
        Completion wrong = completion(97);
        wrong.setError(new Failure("PROMPT_TOO_LONG", "prompt", "No.", 413));
        tally.take(new TopicTail.Item("completions", START, wrong), START);
        TopicTail.Letter letter = new TopicTail.Letter("QUARANTINED", "admit", "No.", 0, 9, "load-1-98");
        tally.take(new TopicTail.Item("prompts.dlq", START, letter), START);
        LoadReport report = new LoadReport(TRAFFIC, "load-1", 1, 100, 0, new Histogram(3), tally, new LoadTimeline());
        assertThat(report.missing()).isEqualTo(1);
        assertThat(report.failed()).isEqualTo(2);
        assertThat(report.complete()).isFalse();
        assertThat(report.table())
                .contains("100 sent, 99 answered, 2 failed, 1 missing, 1 twice")
                .contains("PROMPT_TOO_LONG 1, QUARANTINED 1")
                .contains("kept up      yes");
        JsonNode json = new ObjectMapper().readTree(report.json());
        assertThat(json.at("/requests/missing").asInt()).isEqualTo(1);
        assertThat(json.at("/requests/duplicates").asInt()).isEqualTo(1);
        assertThat(json.at("/latency_ms/written_latency/p99").asDouble()).isCloseTo(50, within(0.5));
        assertThat(json.at("/latency_ms/written_latency/clock").asText()).isEqualTo("load and job");
    }

    @Test
    void chunksGiveTheFirstTokenWhereTheyAreAskedFor() {
        LoadTally streaming = new LoadTally(TRAFFIC, "load-1-", true, START, 2);
        for (int read : new int[] {70, 90}) {
            TokenChunk chunk = TokenChunk.newBuilder()
                    .setId("load-1-50")
                    .setIndex(0)
                    .setTokenOffset(0)
                    .build();
            streaming.take(new TopicTail.Item("completions.chunks", START, chunk), START + 5000 + read);
        }
        streaming.take(new TopicTail.Item("completions", START + 5200, completion(50)), START + 6000);
        assertThat(streaming.span(LoadSpan.FIRST_TOKEN).getTotalCount()).isEqualTo(1);
        assertThat(p50(streaming.span(LoadSpan.FIRST_TOKEN))).isCloseTo(70, within(0.1));
    }

    @Test
    void enginesAreAddedUp() {
        for (int engine : new int[] {0, 1, 1}) {
            Metric metric = Metric.newBuilder()
                    .setTimestampMs(0)
                    .setIntervalMs(1000)
                    .setEngine(engine)
                    .setNumRequestsRunning(4)
                    .setNumRequestsWaiting(2)
                    .build();
            tally.take(new TopicTail.Item("metrics", START, metric), START);
        }
        assertThat(tally.running()).isEqualTo(8);
        assertThat(tally.waiting()).isEqualTo(4);
    }
}
