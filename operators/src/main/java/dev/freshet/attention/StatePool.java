package dev.freshet.attention;

import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Kernels;

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

    /** Zeroes a slot whose sequence has seen so many tokens. */
    public void release(int slot, int tokens) {
        for (int i = 0; i < layout.layers().size(); i++) {
            kernels.clear(layout.layers().get(i), slots[slot], layout.offset(i), tokens);
        }
    }
}
