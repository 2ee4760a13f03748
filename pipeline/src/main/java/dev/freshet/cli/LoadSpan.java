package dev.freshet.cli;

/** The durations that a load test measures, each with the clocks at its two ends. */
enum LoadSpan {
    /** From the time at which a request was due to its first token, waiting in the topic included. */
    FIRST_TOKEN("time_to_first_token", "first token", "load and job"),
    /** From the time at which a request was due to the moment at which a reader of committed records had its answer. */
    LATENCY("latency", "answer readable", "load"),
    /** From the time at which a request was due to the stamp of the record with its answer, not committed yet. */
    WRITTEN("written_latency", "answer written", "load and job"),
    /** Mean time between two tokens of a request. */
    INTER_TOKEN("inter_token", "between tokens", "job"),
    /** From the arrival of a request at the operator to its first token. */
    JOB_FIRST_TOKEN("job_time_to_first_token", "first token, in the job", "job"),
    /** From the arrival of a request at the operator to a slot. */
    JOB_QUEUE("job_queue_time", "waiting for a slot", "job");

    private final String key;
    private final String label;
    private final String clock;

    LoadSpan(String key, String label, String clock) {
        this.key = key;
        this.label = label;
        this.clock = clock;
    }

    /** Its name in reports for machines. */
    String key() {
        return key;
    }

    /** Its name for people. */
    String label() {
        return label;
    }

    /** Whose clock it was taken with; of two, the first one gave the beginning and the second one the end. */
    String clock() {
        return clock;
    }
}
