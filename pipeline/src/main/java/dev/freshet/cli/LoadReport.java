package dev.freshet.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.job.InputLag;
import java.util.Locale;
import java.util.stream.Collectors;
import org.HdrHistogram.Histogram;

/**
 * The outcome of a load test, for people and for machines. Immutable, but for what its parts hold.
 *
 * @param traffic what was to be sent
 * @param run id of the run, part of every request's id
 * @param seed of texts and times
 * @param sent requests that were sent
 * @param unwritten requests that the broker did not take
 * @param lateness of the sender, microseconds
 * @param tally what came back
 * @param timeline how it went
 */
record LoadReport(
        Traffic traffic,
        String run,
        long seed,
        int sent,
        int unwritten,
        Histogram lateness,
        LoadTally tally,
        LoadTimeline timeline) {

    private static final double MICROS_A_MILLI = 1e3;
    private static final double[] PERCENTILES = {50, 90, 95, 99};
    private static final String ROW = "%-26s%10s%10s%10s%10s%10s%10s";

    /** Requests that were written and have no outcome. */
    int missing() {
        return sent - unwritten - tally.answered();
    }

    /** Outcomes that are no texts. */
    long failed() {
        return tally.errors().values().stream().mapToLong(Long::longValue).sum();
    }

    /** Whether each request has one outcome, and that is a text. */
    boolean complete() {
        return missing() == 0 && unwritten == 0 && failed() == 0 && tally.duplicates() == 0;
    }

    /** Writes the table. */
    String table() {
        StringBuilder out = new StringBuilder();
        LoadTally.Window window = tally.window();
        fact(out, "traffic", "%s", traffic.name());
        fact(
                out,
                "requests",
                "%,d sent, %,d answered, %,d failed, %,d missing, %,d twice",
                sent,
                tally.answered(),
                failed(),
                missing(),
                tally.duplicates());
        if (failed() > 0) {
            fact(
                    out,
                    "failures",
                    "%s",
                    tally.errors().entrySet().stream()
                            .map(e -> e.getKey() + " " + e.getValue())
                            .collect(Collectors.joining(", ")));
        }
        if (unwritten > 0) {
            fact(out, "not written", "%,d: the broker did not take them", unwritten);
        }
        fact(out, "measured", "%,d, those due after the warm-up", tally.measured());
        fact(
                out,
                "sender late",
                "p50 %.1f ms, p99 %.1f ms, most %.1f ms",
                millis(lateness, 50),
                millis(lateness, 99),
                lateness.getMaxValue() / MICROS_A_MILLI);
        fact(out, "offered", "%,.2f requests/s over %.1f s", window.offered(), window.seconds());
        fact(
                out,
                "served",
                "%,.2f requests/s, %,.1f generated and %,.1f prompt tokens/s",
                window.served(),
                window.tokens(),
                window.promptTokens());
        fact(
                out,
                "open",
                "%,d after the warm-up, %,d at the end of the traffic, all answered %.1f s later",
                window.openBefore(),
                window.openAfter(),
                tally.drainSeconds());
        fact(
                out,
                "backlog",
                "most %,d open, %,d waiting in the job, lag of the input %s",
                timeline.mostOpen(),
                timeline.mostWaiting(),
                timeline.mostLag() == InputLag.UNKNOWN ? "not known" : String.valueOf(timeline.mostLag()));
        fact(out, "kept up", "%s", window.keptUp() ? "yes" : "no: open requests grew while the traffic lasted");
        out.append(String.format("%n" + ROW + "%n", "ms", "mean", "p50", "p90", "p95", "p99", "most"));
        for (LoadSpan span : LoadSpan.values()) {
            out.append(row(span));
        }
        return out.toString();
    }

    private static void fact(StringBuilder out, String name, String format, Object... values) {
        out.append(String.format(Locale.ROOT, "%-13s", name))
                .append(String.format(Locale.ROOT, format, values))
                .append(System.lineSeparator());
    }

    private String row(LoadSpan span) {
        Histogram h = tally.span(span);
        if (h.getTotalCount() == 0) {
            return "";
        }
        return String.format(
                ROW + "%n",
                span.label(),
                number(h.getMean() / MICROS_A_MILLI),
                number(millis(h, 50)),
                number(millis(h, 90)),
                number(millis(h, 95)),
                number(millis(h, 99)),
                number(h.getMaxValue() / MICROS_A_MILLI));
    }

    private static String number(double millis) {
        return String.format(Locale.ROOT, millis < 100 ? "%.2f" : "%,.0f", millis);
    }

    private static double millis(Histogram h, double percentile) {
        return h.getValueAtPercentile(percentile) / MICROS_A_MILLI;
    }

    /** Returns the report as JSON: the same with every number, clocks and timeline. */
    String json() throws JsonProcessingException {
        ObjectMapper mapper = new ObjectMapper();
        ObjectNode root = mapper.createObjectNode();
        LoadTally.Window window = tally.window();
        root.put("run", run).put("traffic", traffic.name()).put("seconds", traffic.seconds());
        root.put("seed", seed);
        ObjectNode requests = root.putObject("requests");
        requests.put("planned", traffic.arrivals().size())
                .put("sent", sent)
                .put("not_written", unwritten)
                .put("answered", tally.answered())
                .put("measured", tally.measured())
                .put("failed", failed())
                .put("missing", missing())
                .put("duplicates", tally.duplicates())
                .put("prompt_tokens", tally.tokens()[0])
                .put("generated_tokens", tally.tokens()[1]);
        ObjectNode errors = requests.putObject("failures");
        tally.errors().forEach(errors::put);
        put(root.putObject("sender_lateness_ms"), lateness);
        root.putObject("window")
                .put("seconds", window.seconds())
                .put("offered_requests_per_second", window.offered())
                .put("served_requests_per_second", window.served())
                .put("prompt_tokens_per_second", window.promptTokens())
                .put("generated_tokens_per_second", window.tokens())
                .put("open_before", window.openBefore())
                .put("open_after", window.openAfter())
                .put("kept_up", window.keptUp())
                .put("drain_seconds", tally.drainSeconds());
        root.putObject("backlog")
                .put("most_open", timeline.mostOpen())
                .put("most_waiting", timeline.mostWaiting())
                .put("most_lag", timeline.mostLag());
        ObjectNode latencies = root.putObject("latency_ms");
        for (LoadSpan span : LoadSpan.values()) {
            ObjectNode node = latencies.putObject(span.key());
            node.put("clock", span.clock());
            put(node, tally.span(span));
        }
        timeline.write(root.putArray("timeline"));
        return mapper.writerWithDefaultPrettyPrinter().writeValueAsString(root);
    }

    private static void put(ObjectNode node, Histogram h) {
        node.put("count", h.getTotalCount());
        if (h.getTotalCount() == 0) {
            return;
        }
        node.put("mean", h.getMean() / MICROS_A_MILLI);
        for (double percentile : PERCENTILES) {
            node.put("p" + (int) percentile, millis(h, percentile));
        }
        node.put("max", h.getMaxValue() / MICROS_A_MILLI);
    }
}
