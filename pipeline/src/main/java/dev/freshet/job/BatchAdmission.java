package dev.freshet.job;

import dev.freshet.operator.DeadLetters;
import dev.freshet.operator.Inbound;
import dev.freshet.operator.Origin;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.LongPrimitiveArraySerializer;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.jspecify.annotations.Nullable;

/**
 * Turns the lines of a batch into records for the operator: requests as they are, refusals as dead letters, nothing for lines that have
 * their answer. To be run by one subtask, since an id may come once in a file. Confined to the task thread.
 */
final class BatchAdmission extends ProcessFunction<Tuple3<Long, byte[], Boolean>, Inbound>
        implements CheckpointedFunction {

    private static final long serialVersionUID = 1L;
    private static final byte[] NO_BYTES = {};

    private final String source;
    private final BitSet answered;
    private transient @Nullable BatchRequests requests;
    private transient @Nullable ListState<long[]> ids;

    /**
     * Creates the function.
     *
     * @param source name of the file, part of ids and answers
     * @param answered numbers of the lines that earlier runs answered
     */
    BatchAdmission(String source, BitSet answered) {
        this.source = source;
        this.answered = answered;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        BatchRequests fresh = new BatchRequests(source);
        ids = context.getOperatorStateStore()
                .getListState(new ListStateDescriptor<>("ids", LongPrimitiveArraySerializer.INSTANCE));
        for (long[] hashes : ids.get()) {
            fresh.remember(hashes);
        }
        requests = fresh;
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        Objects.requireNonNull(ids)
                .update(List.of(Objects.requireNonNull(requests).ids()));
    }

    @Override
    public void processElement(Tuple3<Long, byte[], Boolean> line, Context context, Collector<Inbound> out) {
        BatchRequests.Result result = Objects.requireNonNull(requests).read(line.f0, line.f1, line.f2);
        if (answered.get((int) (long) line.f0)) {
            return;
        }
        Origin origin = new Origin(source, 0, line.f0, -1, null, List.of());
        if (result instanceof BatchRequests.Request request) {
            out.collect(new Inbound.Prompt(request.prompt(), NO_BYTES, origin));
            return;
        }
        BatchRequests.Refusal refusal = (BatchRequests.Refusal) result;
        DeadLetters.Reason reason = new DeadLetters.Reason(
                "decode", refusal.code().name(), refusal.field(), refusal.message(), false, refusal.id(), null, null);
        // The line itself stays in the input file, and its number tells where.
        out.collect(new Inbound.Rejected(DeadLetters.of(origin, null, reason, 0)));
    }
}
