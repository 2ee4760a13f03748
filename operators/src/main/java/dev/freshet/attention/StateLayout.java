package dev.freshet.attention;

import dev.freshet.kernel.AttentionSpec;
import dev.freshet.kernel.StateRegions;
import dev.freshet.request.ConfigError;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/** Where each layer's state lies in a slot, and how long a slot is: the exact arithmetic of admission. Immutable. */
public final class StateLayout {

    private final List<AttentionSpec> layers;
    private final int[] offset;
    private final int floats;

    /** Lays the layers out one after the other. */
    public StateLayout(List<AttentionSpec> layers) {
        this.layers = List.copyOf(layers);
        offset = new int[layers.size()];
        long sum = 0;
        for (int i = 0; i < offset.length; i++) {
            offset[i] = (int) Math.min(sum, Integer.MAX_VALUE);
            sum = Math.addExact(sum, layers.get(i).slotFloats());
        }
        if (sum > Integer.MAX_VALUE - 16) {
            throw new ConfigError("Cannot lay out the state: expected at most 8 GiB for each sequence, got " + 4 * sum
                    + " bytes (softmax layers keep keys and values of the whole context). Lower --context.");
        }
        floats = (int) sum;
    }

    /** Layers in order. */
    public List<AttentionSpec> layers() {
        return layers;
    }

    /** Start of a layer within a slot, floats. */
    public int offset(int layer) {
        return offset[layer];
    }

    /** Floats of one slot. */
    public int floats() {
        return floats;
    }

    /** Hash of every number that tells where a stored state's floats belong, the order of storing included. */
    public String fingerprint() {
        try {
            byte[] text = (StateRegions.VERSION + " " + layers).getBytes(StandardCharsets.UTF_8);
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(text);
            return HexFormat.of().formatHex(hash, 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Cannot name a state layout: expected SHA-256 in this Java, got none.", e);
        }
    }

    /** Bytes of one slot. */
    public long bytes() {
        return 4L * floats;
    }
}
