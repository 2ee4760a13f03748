package dev.freshet.attention;

/**
 * The numbers of the "attention" object of config.json. Immutable.
 *
 * @param groupSize G, tokens of a group
 * @param convTaps causal taps of the augmented form
 * @param featureDim rows of the Performer projection, F of Hedgehog; 0 for 2 d
 * @param hashRounds tables of YOSO
 * @param hashBits bits of a YOSO code
 * @param slots R of the causal-slot Linformer
 * @param slotPositions N, its period
 */
public record AttentionOptions(
        int groupSize, int convTaps, int featureDim, int hashRounds, int hashBits, int slots, int slotPositions) {

    /** The defaults of the format. */
    public static final AttentionOptions DEFAULTS = new AttentionOptions(64, 32, 0, 8, 5, 16, 64);
}
