package dev.freshet.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import dev.freshet.job.InputLag;
import java.util.ArrayList;
import java.util.List;

/** How a load test went, second by second. Confined to one thread. */
final class LoadTimeline {

    private final List<Row> rows = new ArrayList<>();

    /**
     * One look.
     *
     * @param seconds after the start
     * @param sent requests sent
     * @param answered requests whose answer was read
     * @param lag prompts behind the job's committed offsets, see {@link InputLag}
     * @param running sequences in slots
     * @param waiting requests that wait in the job for a slot
     */
    record Row(double seconds, int sent, int answered, long lag, long running, long waiting) {

        /** Requests sent whose answer was not read yet. */
        int open() {
            return sent - answered;
        }
    }

    void add(Row row) {
        rows.add(row);
    }

    /** Most requests that were open at the same time. */
    int mostOpen() {
        return rows.stream().mapToInt(Row::open).max().orElse(0);
    }

    /** Largest lag, or {@link InputLag#UNKNOWN}. */
    long mostLag() {
        return rows.stream().mapToLong(Row::lag).max().orElse(InputLag.UNKNOWN);
    }

    /** Most requests that waited in the job. */
    long mostWaiting() {
        return rows.stream().mapToLong(Row::waiting).max().orElse(0);
    }

    void write(ArrayNode array) {
        for (Row row : rows) {
            array.addObject()
                    .put("seconds", Math.round(row.seconds() * 10) / 10.0)
                    .put("sent", row.sent())
                    .put("answered", row.answered())
                    .put("open", row.open())
                    .put("lag", row.lag())
                    .put("running", row.running())
                    .put("waiting", row.waiting());
        }
    }
}
