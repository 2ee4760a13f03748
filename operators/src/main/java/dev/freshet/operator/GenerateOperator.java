package dev.freshet.operator;

import dev.freshet.request.ConfigError;
import dev.freshet.schema.Metric;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.RejectedExecutionException;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.OperatorStateStore;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.runtime.execution.CancelTaskException;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.tasks.mailbox.TaskMailbox;
import org.apache.flink.util.clock.Clock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Continuous batching inside a stream: prompts join the engine as they arrive, texts leave as they end, and a checkpoint holds what
 * is in between.
 *
 * <p>The engine steps on the task thread, as a mail that posts itself again while there is work, so that input, barriers, timers
 * and steps take turns and no state is shared between threads. A full engine makes {@link #processElement} wait, which holds the
 * stream back; steps and timers go on meanwhile.
 *
 * <p>Confined to the task thread.
 */
final class GenerateOperator extends AbstractStreamOperator<Outbound>
        implements OneInputStreamOperator<Inbound, Outbound>, BoundedOneInput {

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(GenerateOperator.class);

    private final transient MailboxExecutor mailbox;
    private final transient Clock clock;
    private final OperatorOptions options;
    private final ModelLoader loader;
    private final boolean bounded;

    private transient @Nullable ServedModel served;
    private transient @Nullable Serving serving;
    private transient @Nullable BlackBox blackBox;
    private transient @Nullable RecentIds recentIds;
    private transient @Nullable ListState<InFlight> inFlightState;
    private transient @Nullable ListState<byte[]> recentIdsState;
    private transient @Nullable ListState<byte[]> cancelledIdsState;
    private final transient CancelledIds cancelledIds = new CancelledIds();
    private transient @Nullable KeyedSessions sessions;
    private transient InFlights restored = InFlights.NONE;
    private transient boolean stepping;
    private transient boolean holdsSnapshot;
    private transient boolean isRestored;
    private transient @Nullable CommonEnd commonEnd;
    private transient int arrivals;
    private transient int deferred;

    GenerateOperator(
            StreamOperatorParameters<Outbound> parameters,
            OperatorOptions options,
            ModelLoader loader,
            boolean bounded,
            Clock clock) {
        super(parameters);
        this.mailbox = parameters.getMailboxExecutor();
        this.options = options;
        this.loader = loader;
        this.bounded = bounded;
        this.clock = clock;
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        OperatorStateStore store = context.getOperatorStateStore();
        // A list is split evenly when the parallelism changes, whatever the sequences' keys.
        ListState<InFlight> sequences =
                store.getListState(new ListStateDescriptor<>("sequences", new InFlightSerializer()));
        // After a change of parallelism a repetition may reach another subtask, so that each gets all ids.
        ListState<byte[]> ids =
                store.getUnionListState(new ListStateDescriptor<>("recent-ids", BytePrimitiveArraySerializer.INSTANCE));
        ListState<byte[]> cancels = store.getUnionListState(
                new ListStateDescriptor<>("cancelled-ids", BytePrimitiveArraySerializer.INSTANCE));
        RecentIds recent = new RecentIds(options.recentIds());
        KeyedStateBackend<String> keyed = getKeyedStateBackend();
        if (keyed != null) {
            ConversationOptions kept = options.conversations();
            sessions = new KeyedSessions(
                    kept == null ? ConversationOptions.defaults() : kept,
                    keyed,
                    context.getKeyedStateStore(),
                    clock,
                    getMetricGroup());
        }
        isRestored = context.isRestored();
        if (isRestored) {
            List<InFlight> held = new ArrayList<>(VersionOne.take(store));
            sequences.get().forEach(held::add);
            restored = new InFlights(held, sessions == null ? Map.of() : sessions.restore());
            for (byte[] bytes : ids.get()) {
                recent.addAll(bytes);
            }
            for (byte[] bytes : cancels.get()) {
                cancelledIds.addAll(bytes);
            }
        }
        inFlightState = sequences;
        recentIdsState = ids;
        cancelledIdsState = cancels;
        recentIds = recent;
    }

    @Override
    public void open() throws Exception {
        super.open();
        try {
            ServedModel model = loader.load(options.slots());
            served = model;
            blackBox = openBlackBox();
            serving = new Serving(
                    options,
                    model,
                    new Memory(
                            Objects.requireNonNull(recentIds),
                            cancelledIds,
                            options.conversations() == null ? null : sessions),
                    blackBox,
                    getMetricGroup(),
                    clock,
                    new Emitter(model));
            serving.resume(restored);
        } catch (ConfigError e) {
            // Neither a model that cannot be served nor a wrong checkpoint gets better by trying again.
            throw new SuppressRestartsException(e);
        }
        if (!restored.isEmpty()) {
            LOG.info("Resumed {} sequences from a checkpoint", restored.size());
            restored = InFlights.NONE;
            wake();
        }
        getProcessingTimeService().registerTimer(nextTick(), this::tick);
        // Behind a network input barriers come as records, which a task that ends does not read any more.
        if (bounded && !getOperatorConfig().isChainStart()) {
            TaskInfo task = getRuntimeContext().getTaskInfo();
            commonEnd = new CommonEnd(
                    getRuntimeContext().getGlobalAggregateManager(),
                    task.getIndexOfThisSubtask(),
                    task.getNumberOfParallelSubtasks(),
                    isRestored,
                    clock);
        }
    }

    private @Nullable BlackBox openBlackBox() {
        if (options.blackBox() == null) {
            return null;
        }
        return BlackBox.open(
                Path.of(options.blackBox()),
                options.job(),
                getRuntimeContext().getTaskInfo().getIndexOfThisSubtask(),
                options.slots());
    }

    /** A session is looked up when a turn begins and when it ends, not when its record comes. */
    @Override
    @SuppressWarnings("rawtypes")
    public void setKeyContextElement1(StreamRecord record) {}

    @Override
    public boolean hasKeyContext1() {
        // Records of the control topic go to all subtasks, whatever keys they are responsible for.
        return false;
    }

    @Override
    public void processElement(StreamRecord<Inbound> element) throws Exception {
        arrivals++;
        Admission.Admitted admitted = serving().arrive(element.getValue());
        if (admitted == null) {
            return;
        }
        while (!serving().hasRoom()) {
            work();
        }
        serving().submit(admitted);
        wake();
    }

    private Serving serving() {
        return Objects.requireNonNull(serving);
    }

    private void wake() {
        if (!stepping) {
            stepping = true;
            post();
        }
    }

    private void post() {
        try {
            steps().execute(this::step, "engine step");
        } catch (RejectedExecutionException e) {
            // The task ends; what is in flight is in the last checkpoint.
            LOG.debug("The mailbox takes no more steps", e);
        }
    }

    /**
     * Executor of the lowest priority. Flink runs all mails of an operator's own priority before it takes a savepoint with which
     * a job is stopped, and steps beget steps: they would all be made first.
     */
    private MailboxExecutor steps() {
        return getContainingTask().getMailboxExecutorFactory().createExecutor(TaskMailbox.MIN_PRIORITY);
    }

    /**
     * One mail: a step of the engine, unless slots are free and records keep coming, which then are let in first. A step is put
     * off for at most as many records as there are slots.
     */
    private void step() throws Exception {
        boolean filling =
                arrivals > 0 && deferred < options.slots() && serving().hasFreeSlots();
        arrivals = 0;
        if (filling) {
            deferred++;
        } else {
            deferred = 0;
            advance();
        }
        if (serving().isIdle()) {
            stepping = false;
        } else {
            post();
        }
    }

    private void advance() throws Exception {
        if (holdsSnapshot) {
            // Flink has its own list by now; the copies of the states need not stay until the next checkpoint.
            Objects.requireNonNull(inFlightState).clear();
            if (sessions != null) {
                sessions.clearTurns();
            }
            holdsSnapshot = false;
        }
        serving().step();
    }

    /** Makes a step where mails with steps do not run, and lets timers have their turn. */
    private void work() throws Exception {
        requireLife();
        advance();
        while (mailbox.tryYield()) {
            requireLife();
        }
    }

    /** A task that is cancelled would otherwise go on as long as the engine has steps to make. */
    private void requireLife() {
        if (getContainingTask().isCanceled()) {
            throw new CancelTaskException();
        }
    }

    private long nextTick() {
        return getProcessingTimeService().getCurrentProcessingTime()
                + options.metricsInterval().toMillis();
    }

    private void tick(long time) {
        serving().tick();
        if (sessions != null) {
            sessions.expire();
        }
        getProcessingTimeService().registerTimer(nextTick(), this::tick);
    }

    /**
     * Copies what the checkpoint holds, states included, while the engine stands still; Flink turns the copy into bytes and writes
     * them beside the steps that follow, since the list's records are immutable.
     */
    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        InFlights held = serving().snapshot();
        Objects.requireNonNull(inFlightState).update(held.sequences());
        if (sessions != null) {
            sessions.holdTurns(held.turns());
        }
        holdsSnapshot = true;
        Objects.requireNonNull(recentIdsState)
                .update(List.of(Objects.requireNonNull(recentIds).toBytes()));
        Objects.requireNonNull(cancelledIdsState).update(List.of(cancelledIds.toBytes()));
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) throws Exception {
        super.notifyCheckpointComplete(checkpointId);
        if (commonEnd != null) {
            commonEnd.checkpointed();
        }
    }

    /**
     * Works off what is in flight. The input of a job that is stopped with draining ends here too, but must be worked off before
     * its savepoint; that of a bounded job ends by itself, and its end may take long, so that checkpoints have their turn in it.
     */
    @Override
    public void endInput() throws Exception {
        if (commonEnd == null) {
            while (!serving().isIdle()) {
                work();
            }
            return;
        }
        MailboxExecutor mails = steps();
        while (!serving().isIdle()) {
            requireLife();
            mails.yield();
        }
        commonEnd.await(mails::yield, getProcessingTimeService());
    }

    @Override
    public void finish() throws Exception {
        serving().summarize();
        super.finish();
    }

    @Override
    public void close() throws Exception {
        if (commonEnd != null
                && !getContainingTask().isCanceled()
                && !getContainingTask().isFailing()) {
            commonEnd.leave();
        }
        if (blackBox != null) {
            blackBox.close();
        }
        if (served != null) {
            served.close();
        }
        super.close();
    }

    /** Hands records to Flink. */
    private final class Emitter implements Outputs {

        private final ServedModel model;

        Emitter(ServedModel model) {
            this.model = model;
        }

        @Override
        public void outcome(Outbound outcome) {
            output.collect(new StreamRecord<>(outcome));
        }

        @Override
        public void chunk(KeyedChunk chunk) {
            output.collect(RecordTypes.CHUNKS, new StreamRecord<>(chunk));
        }

        @Override
        public void metric(Metric metric) {
            metric.setJob(options.job());
            metric.setModelName(model.name());
            metric.setBackend(model.backend());
            metric.setEngine(getRuntimeContext().getTaskInfo().getIndexOfThisSubtask());
            metric.setEngines(getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks());
            output.collect(RecordTypes.METRICS, new StreamRecord<>(metric));
        }
    }
}
