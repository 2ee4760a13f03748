package dev.freshet.operator;

import java.io.IOException;
import java.util.BitSet;
import java.util.Objects;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.runtime.taskexecutor.GlobalAggregateManager;
import org.apache.flink.util.clock.Clock;
import org.jspecify.annotations.Nullable;

/**
 * Has the subtasks of a bounded job end together. Flink makes no checkpoint while some subtasks of an operator with a union list
 * have finished and others have not, and none of a task that waits in {@code endInput} with its own priority. So a subtask whose
 * input has ended works off what is in flight while checkpoints go on, then waits, checkpoints still going on, until all others have
 * come as far. A run that goes on from a checkpoint also waits for one checkpoint of its own: it commits what another subtask had
 * open, which the sink must see decided before it can end. See docs/adr/0004-recent-ids-are-a-union-list.md.
 *
 * <p>Confined to the task thread.
 */
final class CommonEnd {

    private static final String NAME = "freshet-ended-subtasks";
    private static final int NOBODY = -1;
    private static final long LOOK_MILLIS = 200;

    /** How long a restored run waits for a checkpoint of its own: with longer intervals the sink has to wait by itself. */
    private static final long CHECKPOINT_PATIENCE_MILLIS = 60_000;

    private final @Nullable GlobalAggregateManager job;
    private final int subtask;
    private final int subtasks;
    private final Clock clock;
    private boolean needsCheckpoint;
    private boolean look;

    /**
     * Begins a run, in which nobody has ended yet.
     *
     * @param job where the subtasks meet; may be null when there is only one
     * @param restored whether the run goes on from a checkpoint
     */
    CommonEnd(@Nullable GlobalAggregateManager job, int subtask, int subtasks, boolean restored, Clock clock)
            throws IOException {
        this.job = job;
        this.subtask = subtask;
        this.subtasks = subtasks;
        this.clock = clock;
        needsCheckpoint = restored && subtasks > 1;
        // Whoever ended in a run before this one comes again or says so again.
        ended(NOBODY);
    }

    /** Runs one mail of any priority, or waits for one. */
    interface Turn {
        void take() throws InterruptedException;
    }

    /** Notes that a checkpoint of this run is complete. */
    void checkpointed() {
        needsCheckpoint = false;
    }

    /** Runs mails, checkpoints among them, until all subtasks have come here. */
    void await(Turn turn, ProcessingTimeService timers) throws IOException, InterruptedException {
        long patience = clock.relativeTimeMillis() + CHECKPOINT_PATIENCE_MILLIS;
        look = true;
        while (true) {
            if (look) {
                boolean all = ended(subtask) >= subtasks;
                if (all && (!needsCheckpoint || clock.relativeTimeMillis() > patience)) {
                    return;
                }
                look = false;
                timers.registerTimer(timers.getCurrentProcessingTime() + LOOK_MILLIS, time -> look = true);
            }
            turn.take();
        }
    }

    /**
     * Notes that this subtask goes, whether it came to its end or was stopped with a savepoint before, so that nobody waits for it.
     */
    void leave() throws IOException {
        ended(subtask);
    }

    /** Says which subtask has ended and returns how many have. */
    private int ended(int who) throws IOException {
        return subtasks == 1
                ? subtasks
                : Objects.requireNonNull(job).updateGlobalAggregate(NAME, who, new EndedSubtasks());
    }

    /** Counts who has ended; {@link #NOBODY} begins again. The JobManager runs it. */
    static final class EndedSubtasks implements AggregateFunction<Integer, BitSet, Integer> {

        private static final long serialVersionUID = 1L;

        @Override
        public BitSet createAccumulator() {
            return new BitSet();
        }

        @Override
        public BitSet add(Integer who, BitSet ended) {
            if (who == NOBODY) {
                ended.clear();
            } else {
                ended.set(who);
            }
            return ended;
        }

        @Override
        public Integer getResult(BitSet ended) {
            return ended.cardinality();
        }

        @Override
        public BitSet merge(BitSet a, BitSet b) {
            a.or(b);
            return a;
        }
    }
}
