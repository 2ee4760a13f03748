package dev.freshet.operator;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.runtime.state.OperatorStateHandle;
import org.apache.flink.streaming.api.operators.AbstractStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.OneInputStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.tasks.mailbox.Mail;
import org.apache.flink.streaming.runtime.tasks.mailbox.TaskMailbox;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.util.clock.ManualClock;

/** All subtasks of a {@link GenerateOperator} over the hash-chain model, on Flink's harness: mails, time and snapshots by hand. */
final class OperatorBench implements AutoCloseable {

    private static final int MAX_PARALLELISM = 16;

    final ManualClock clock;
    private final List<OneInputStreamOperatorTestHarness<Inbound, Outbound>> subtasks = new ArrayList<>();

    private OperatorBench(ManualClock clock) {
        this.clock = clock;
    }

    /**
     * Starts so many subtasks.
     *
     * @param restored one state for each subtask of the run before, empty for a first start
     */
    static OperatorBench start(
            OperatorOptions options, int parallelism, List<OperatorSubtaskState> restored, ManualClock clock)
            throws Exception {
        return start(options, parallelism, restored, clock, "fingerprint-1");
    }

    static OperatorBench start(
            OperatorOptions options,
            int parallelism,
            List<OperatorSubtaskState> restored,
            ManualClock clock,
            String fingerprint)
            throws Exception {
        OperatorBench bench = new OperatorBench(clock);
        OperatorSubtaskState all = restored.isEmpty()
                ? null
                : AbstractStreamOperatorTestHarness.repackageState(restored.toArray(new OperatorSubtaskState[0]));
        for (int i = 0; i < parallelism; i++) {
            OneInputStreamOperatorTestHarness<Inbound, Outbound> harness = new KeyedOneInputStreamOperatorTestHarness<>(
                    new Factory(options, clock, fingerprint),
                    OperatorBench::key,
                    Types.STRING,
                    MAX_PARALLELISM,
                    parallelism,
                    i);
            harness.getExecutionConfig().enableObjectReuse();
            harness.setup(new OutboundSerializer());
            if (all == null) {
                harness.initializeEmptyState();
            } else {
                harness.initializeState(AbstractStreamOperatorTestHarness.repartitionOperatorState(
                        all, MAX_PARALLELISM, restored.size(), parallelism, i));
            }
            harness.open();
            bench.subtasks.add(harness);
        }
        return bench;
    }

    private static String key(Inbound inbound) {
        throw new AssertionError("The operator asked for the key of " + inbound.getClass());
    }

    /** The subtask that a session belongs to. */
    int subtask(String session) {
        return KeyGroupRangeAssignment.assignKeyToParallelOperator(session, MAX_PARALLELISM, parallelism());
    }

    int parallelism() {
        return subtasks.size();
    }

    void feed(int subtask, Inbound inbound) throws Exception {
        subtasks.get(subtask).processElement(new StreamRecord<>(inbound));
    }

    /** Runs a mail of a subtask if it has one. */
    boolean mail(int subtask) throws Exception {
        Optional<Mail> mail = subtasks.get(subtask).getTaskMailbox().tryTake(TaskMailbox.MIN_PRIORITY);
        if (mail.isPresent()) {
            clock.advanceTime(Duration.ofMillis(1));
            mail.get().run();
        }
        return mail.isPresent();
    }

    /** Runs until no subtask has work. */
    void drain() throws Exception {
        boolean busy = true;
        while (busy) {
            busy = false;
            for (int i = 0; i < subtasks.size(); i++) {
                busy |= mail(i);
            }
        }
    }

    /** Takes a snapshot of every subtask at the same place in the input. */
    List<OperatorSubtaskState> snapshot(long id) throws Exception {
        List<OperatorSubtaskState> out = new ArrayList<>();
        for (OneInputStreamOperatorTestHarness<Inbound, Outbound> harness : subtasks) {
            harness.prepareSnapshotPreBarrier(id);
            out.add(harness.snapshot(id, id));
        }
        return out;
    }

    /** Sequences in a snapshot of one subtask. */
    static int sequences(OperatorSubtaskState state) {
        int count = 0;
        for (OperatorStateHandle handle : state.getManagedOperatorState()) {
            OperatorStateHandle.StateMetaInfo meta =
                    handle.getStateNameToPartitionOffsets().get("sequences");
            count += meta == null ? 0 : meta.getOffsets().length;
        }
        return count;
    }

    /** Takes what all subtasks have emitted since the last call. */
    List<Outbound> outcomes() {
        List<Outbound> out = new ArrayList<>();
        for (OneInputStreamOperatorTestHarness<Inbound, Outbound> harness : subtasks) {
            out.addAll(harness.extractOutputValues());
            harness.getOutput().clear();
        }
        return out;
    }

    /** Takes the chunks that all subtasks have emitted since the last call. */
    List<KeyedChunk> chunks() {
        List<KeyedChunk> out = new ArrayList<>();
        for (OneInputStreamOperatorTestHarness<Inbound, Outbound> harness : subtasks) {
            var side = harness.getSideOutput(RecordTypes.CHUNKS);
            if (side != null) {
                side.forEach(r -> out.add(r.getValue()));
                side.clear();
            }
        }
        return out;
    }

    /** Lets timers fire. */
    void time(long millis) throws Exception {
        for (OneInputStreamOperatorTestHarness<Inbound, Outbound> harness : subtasks) {
            harness.setProcessingTime(millis);
        }
    }

    @Override
    public void close() throws Exception {
        for (OneInputStreamOperatorTestHarness<Inbound, Outbound> harness : subtasks) {
            harness.close();
        }
    }

    /** Makes operators over the hash-chain model with a clock of the test. */
    private static final class Factory extends AbstractStreamOperatorFactory<Outbound>
            implements OneInputStreamOperatorFactory<Inbound, Outbound> {

        private static final long serialVersionUID = 1L;

        private final OperatorOptions options;
        private final transient ManualClock clock;
        private final String fingerprint;

        Factory(OperatorOptions options, ManualClock clock, String fingerprint) {
            this.options = options;
            this.clock = clock;
            this.fingerprint = fingerprint;
        }

        private static ServedModel model(int slots, String fingerprint) {
            return new ServedModel(
                    new HashChainModel(LetterTexts.VOCABULARY, 200, slots),
                    new LetterTexts(),
                    Set.of(LetterTexts.END),
                    ServingBench.MODEL,
                    fingerprint,
                    "fake",
                    () -> {});
        }

        private static ModelLoader loader(String fingerprint) {
            return slots -> model(slots, fingerprint);
        }

        @Override
        @SuppressWarnings("unchecked")
        public <T extends StreamOperator<Outbound>> T createStreamOperator(
                StreamOperatorParameters<Outbound> parameters) {
            return (T) new GenerateOperator(parameters, options, loader(fingerprint), false, clock);
        }

        @Override
        @SuppressWarnings("rawtypes")
        public Class<? extends StreamOperator> getStreamOperatorClass(ClassLoader classLoader) {
            return GenerateOperator.class;
        }
    }
}
