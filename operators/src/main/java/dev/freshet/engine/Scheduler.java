package dev.freshet.engine;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Who waits and who runs: admission is exact, one slot for one sequence, so a running sequence is never preempted. Confined to the
 * engine thread.
 */
final class Scheduler {

    private final PriorityQueue<Sequence> waiting =
            new PriorityQueue<>(Comparator.<Sequence>comparingInt(s -> s.resumed > 0 ? 0 : 1)
                    .thenComparingInt(s -> s.priority)
                    .thenComparingLong(s -> s.arrival));

    private final List<Sequence> running = new ArrayList<>();
    private final Map<String, Sequence> byId = new HashMap<>();
    private final int[] freeSlots;
    private int free;

    Scheduler(int slots) {
        freeSlots = new int[slots];
        for (int i = 0; i < slots; i++) {
            freeSlots[i] = slots - 1 - i;
        }
        free = slots;
    }

    boolean contains(String id) {
        return byId.containsKey(id);
    }

    int waiting() {
        return waiting.size();
    }

    /** Sequences with a slot, in order of admission. */
    List<Sequence> running() {
        return running;
    }

    /** Sequences of the next step: all with a slot, or the first one that must run alone. */
    List<Sequence> batch() {
        for (Sequence sequence : running) {
            if (sequence.committed < sequence.aloneUntil) {
                return List.of(sequence);
            }
        }
        return running;
    }

    void isolate(String id, int untilPosition) {
        Sequence sequence = byId.get(id);
        if (sequence != null) {
            sequence.aloneUntil = untilPosition;
        }
    }

    boolean isIdle() {
        return byId.isEmpty();
    }

    void enqueue(Sequence sequence) {
        waiting.add(sequence);
        byId.put(sequence.id, sequence);
    }

    /** Gives free slots to waiting sequences, each of which begin sees; returns the ids of those that got one. */
    List<String> admit(Consumer<Sequence> begin) {
        List<String> admitted = new ArrayList<>();
        while (free > 0 && !waiting.isEmpty()) {
            Sequence sequence = waiting.remove();
            sequence.slot = freeSlots[--free];
            running.add(sequence);
            begin.accept(sequence);
            admitted.add(sequence.id);
        }
        return admitted;
    }

    /** Removes sequences that have ended; their slots must have been released already. */
    void remove(List<Sequence> ended) {
        for (Sequence sequence : ended) {
            byId.remove(sequence.id);
            freeSlots[free++] = sequence.slot;
            sequence.slot = Sequence.NO_SLOT;
        }
        running.removeAll(ended);
    }

    /** Takes a sequence out of the engine, or returns null when there is none of this id. */
    @Nullable
    Sequence take(String id) {
        Sequence sequence = byId.get(id);
        if (sequence != null && sequence.slot == Sequence.NO_SLOT) {
            waiting.remove(sequence);
            byId.remove(id);
        }
        return sequence;
    }

    /** All sequences: running ones in order of admission, then waiting ones in the order they would be admitted. */
    List<Sequence> all() {
        List<Sequence> out = new ArrayList<>(running);
        PriorityQueue<Sequence> copy = new PriorityQueue<>(waiting);
        while (!copy.isEmpty()) {
            out.add(copy.remove());
        }
        return out;
    }
}
