package dev.freshet.operator;

import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import dev.freshet.request.SpeculationMode;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.util.clock.SystemClock;
import org.jspecify.annotations.Nullable;

/**
 * The engine as the operator runs it, for requests that come from a file in one process: the same validation, the same texts, the
 * same bits. Confined to one thread.
 */
public final class OfflineServing implements Outputs {

    private static final byte[] NO_BYTES = {};

    private final Serving serving;
    private final Answers answers;
    private final String source;
    private final int slots;
    private final List<Completion> done = new ArrayList<>();

    /**
     * Starts an engine.
     *
     * @param served the model, with as many slots
     * @param source name of the file, which stands in answers and in the ids of requests that have none
     * @param slots sequences that decode together
     * @param speculation drafting mode of requests that name none
     * @param names names of the model that requests may use beside its own; {@code *} stands for all
     */
    public OfflineServing(
            ServedModel served, String source, int slots, SpeculationMode speculation, Set<String> names) {
        OperatorOptions defaults = OperatorOptions.of("batch", slots);
        OperatorOptions options = new OperatorOptions(
                defaults.job(),
                slots,
                slots,
                defaults.prefillTokens(),
                speculation,
                defaults.metricsInterval(),
                java.time.Duration.ZERO,
                defaults.inFlight(),
                0,
                false,
                defaults.promptBytes(),
                defaults.promptTokens(),
                defaults.maxTokens(),
                defaults.emptyPrompt(),
                null,
                names,
                null);
        this.source = source;
        this.slots = slots;
        serving = new Serving(
                options,
                served,
                new Memory(new RecentIds(0), new CancelledIds(), null),
                null,
                new UnregisteredMetricsGroup(),
                SystemClock.getInstance(),
                this);
        answers = new Answers(served);
    }

    private Origin origin(long line) {
        return new Origin(source, 0, line, -1, null, List.of());
    }

    /** Id of a request that brings none. */
    public String fallbackId(long line) {
        return origin(line).fallbackId();
    }

    /** Whether another request would find a slot at once or soon: as many may wait as there are slots. */
    public boolean wantsMore() {
        return serving.hasRoom();
    }

    /** Gives a request to the engine; what cannot run is answered in the next step. */
    public void submit(Prompt request, long line) {
        Admission.Admitted admitted = serving.arrive(new Inbound.Prompt(request, NO_BYTES, origin(line)));
        if (admitted != null) {
            serving.submit(admitted);
        }
    }

    /**
     * Answers a line that is no request.
     *
     * @param id id where it could be read, or null
     */
    public Completion refuse(@Nullable String id, long line, ErrorCode code, @Nullable String field, String message) {
        Origin origin = origin(line);
        String known = id == null ? origin.fallbackId() : id;
        Admission.Refused refused = new Admission.Refused(
                known,
                known,
                false,
                false,
                SystemClock.getInstance().absoluteTimeMillis(),
                new RequestError(code, field, message));
        return ((Outbound.Completed) answers.refusal(refused, origin)).completion();
    }

    /** Runs one step; returns the answers that are complete, errors included. */
    public List<Completion> step() {
        serving.step();
        List<Completion> out = List.copyOf(done);
        done.clear();
        return out;
    }

    /** Whether nothing is in flight and no answer waits. */
    public boolean isIdle() {
        return serving.isIdle() && done.isEmpty();
    }

    /** Slots that had a sequence in the last step. */
    public int busy() {
        return serving.busy();
    }

    /** Slots in all. */
    public int slots() {
        return slots;
    }

    @Override
    public void outcome(Outbound outcome) {
        if (outcome instanceof Outbound.Completed completed) {
            done.add(completed.completion());
        }
    }

    @Override
    public void chunk(KeyedChunk chunk) {
        // A file has no reader that waits for the beginning of a line.
    }

    @Override
    public void metric(Metric metric) {
        // The caller counts for itself.
    }
}
