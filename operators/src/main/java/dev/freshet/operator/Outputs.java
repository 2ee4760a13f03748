package dev.freshet.operator;

import dev.freshet.schema.Metric;

/** Where the records of a {@link Serving} go. */
interface Outputs {
    void outcome(Outbound outcome);

    void chunk(KeyedChunk chunk);

    void metric(Metric metric);
}
