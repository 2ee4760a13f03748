package dev.freshet.engine;

import dev.freshet.model.Model;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Sequences to snapshots and back; a state that does not fit the model is left alone. Confined to the engine thread. */
final class Snapshots {

    private final Model model;

    Snapshots(Model model) {
        this.model = model;
    }

    /**
     * Takes snapshots between two steps.
     *
     * @param autoBytes bytes of state in all under {@link CheckpointPolicy#AUTO}
     */
    List<SequenceSnapshot> take(List<Sequence> sequences, CheckpointPolicy policy, long autoBytes) {
        Set<Sequence> carried =
                switch (policy) {
                    case STATE -> new HashSet<>(sequences);
                    case TOKENS -> Set.of();
                    case AUTO -> worthiest(sequences, autoBytes);
                };
        List<SequenceSnapshot> out = new ArrayList<>(sequences.size());
        for (Sequence s : sequences) {
            out.add(s.snapshot(carried.contains(s) ? state(s) : null));
        }
        return out;
    }

    /** Fills the bytes with the sequences that would cost the most tokens for a byte of state, equal ones in order. */
    private Set<Sequence> worthiest(List<Sequence> sequences, long bytes) {
        List<Sequence> byWorth = new ArrayList<>(sequences);
        byWorth.removeIf(s -> s.committed == 0);
        byWorth.sort(Comparator.comparingDouble(s -> -(double) s.committed / bytes(s)));
        Set<Sequence> out = new HashSet<>();
        long left = bytes;
        for (Sequence s : byWorth) {
            long size = bytes(s);
            if (size <= left) {
                out.add(s);
                left -= size;
            }
        }
        return out;
    }

    private long bytes(Sequence s) {
        return 4L * (model.stateFloats(s.committed) + (s.hiddenReady ? model.hiddenSize() : 0));
    }

    private @Nullable SequenceState state(Sequence s) {
        if (s.slot == Sequence.NO_SLOT) {
            return s.restored;
        }
        if (s.committed == 0) {
            return null;
        }
        float[] values = new float[model.stateFloats(s.committed)];
        Runnable filled = model.saveState(s.slot, s.committed, values);
        return new SequenceState(
                model.stateName(), values, s.hidden == null || !s.hiddenReady ? null : s.hidden.clone(), filled);
    }

    /** What is kept of a sequence that ended and still has its slot; the hidden state is not that of the last committed token. */
    Continuation keep(Sequence s) {
        float[] values = new float[model.stateFloats(s.committed)];
        Runnable filled = model.saveState(s.slot, s.committed, values);
        return new Continuation(s.lasting(), s.committed, new SequenceState(model.stateName(), values, null, filled));
    }

    /** Has a sequence go on from what was kept, where that fits; returns the tokens that need not be run. */
    int follow(Sequence sequence, Continuation before) {
        SequenceState state = before.state();
        if (state == null || !fits(state, before.committed(), sequence.length)) {
            return 0;
        }
        sequence.committed = before.committed();
        sequence.restored = state;
        return before.committed();
    }

    /** Gives a sequence the position and the state of its snapshot, or has it run again; returns the tokens to be run again. */
    int resume(Sequence sequence, SequenceSnapshot snapshot) {
        SequenceState state = snapshot.state();
        if (state == null || !fits(state, snapshot.committed(), sequence.length)) {
            return snapshot.committed();
        }
        sequence.committed = snapshot.committed();
        sequence.restored = state;
        sequence.hidden = state.hidden() == null ? null : state.hidden().clone();
        sequence.hiddenReady = state.hidden() != null;
        return 0;
    }

    private boolean fits(SequenceState state, int committed, int length) {
        return state.model().equals(model.stateName())
                && committed > 0
                && committed < length
                && committed < model.contextLength()
                && state.values().length == model.stateFloats(committed)
                && (state.hidden() == null || model.medusaHeads() > 0 && state.hidden().length == model.hiddenSize());
    }

    /** Puts the state of a sequence that just got its slot into it. */
    void load(Sequence sequence) {
        if (sequence.restored != null) {
            model.loadState(sequence.slot, sequence.committed, sequence.restored.values());
            sequence.restored = null;
        }
    }
}
