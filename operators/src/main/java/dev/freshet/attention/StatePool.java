package dev.freshet.attention;

import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.StateRegions;
import java.util.ArrayList;
import java.util.List;

/** The slots of all sequences, claimed at start. A slot is zeroed when it is released. Confined to the engine thread. */
public final class StatePool {

    private final Kernels kernels;
    private final StateLayout layout;
    private final Buffer[] slots;

    /** Claims memory for a number of sequences. */
    public StatePool(Kernels kernels, StateLayout layout, int slots) {
        this.kernels = kernels;
        this.layout = layout;
        this.slots = new Buffer[slots];
        for (int i = 0; i < slots; i++) {
            this.slots[i] = kernels.allocate(layout.floats());
        }
    }

    /** Layout of every slot. */
    public StateLayout layout() {
        return layout;
    }

    /** Number of slots. */
    public int size() {
        return slots.length;
    }

    /** The slots themselves, for kernels. */
    public Buffer[] slots() {
        return slots;
    }

    /** Floats that a sequence of so many tokens has in its slot. */
    public int floats(int tokens) {
        long sum = 0;
        for (AttentionSpec layer : layout.layers()) {
            sum += StateRegions.floats(layer, tokens);
        }
        // A whole slot fits an int, so that a part of it does.
        return (int) sum;
    }

    /**
     * Copies what a sequence of so many tokens has in its slot, layer after layer; complete when the returned has run, on whatever thread.
     *
     * @param out overwritten, [floats(tokens)]
     */
    public Runnable save(int slot, int tokens, float[] out) {
        List<Runnable> waits = new ArrayList<>();
        int at = 0;
        for (int i = 0; i < layout.layers().size(); i++) {
            AttentionSpec layer = layout.layers().get(i);
            waits.add(kernels.beginSave(layer, slots[slot], layout.offset(i), tokens, out, at));
            at += StateRegions.floats(layer, tokens);
        }
        return () -> waits.forEach(Runnable::run);
    }

    /** Puts what {@link #save} copied into a slot of zeros. */
    public void load(int slot, int tokens, float[] values) {
        int at = 0;
        for (int i = 0; i < layout.layers().size(); i++) {
            at += kernels.load(layout.layers().get(i), slots[slot], layout.offset(i), tokens, values, at);
        }
    }

    /** Zeroes a slot whose sequence has seen so many tokens. */
    public void release(int slot, int tokens) {
        for (int i = 0; i < layout.layers().size(); i++) {
            kernels.clear(layout.layers().get(i), slots[slot], layout.offset(i), tokens);
        }
    }
}
