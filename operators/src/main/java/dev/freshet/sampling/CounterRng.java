package dev.freshet.sampling;

/**
 * Random numbers as a function of (seed, position): Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
 * (SC 2011). Nothing is kept between calls, so a draw does not depend on how many draws happened before it.
 */
public final class CounterRng {

    private static final long WORD = 0xffffffffL;
    private static final long MULTIPLIER_0 = 0xd2511f53L;
    private static final long MULTIPLIER_1 = 0xcd9e8d57L;
    private static final int WEYL_0 = 0x9e3779b9;
    private static final int WEYL_1 = 0xbb67ae85;
    private static final int ROUNDS = 10;

    private CounterRng() {}

    /**
     * The uniform variate of a position: key = seed, counter = (position, 0), 53 bits of the first two output words.
     *
     * @param seed any value
     * @param position index of the drawn token in prompt + output
     * @return in [0, 1)
     */
    public static double uniform(long seed, long position) {
        int[] words = {(int) position, (int) (position >>> 32), 0, 0};
        philox(words, seed);
        return (((long) words[1] << 32 | (words[0] & WORD)) >>> 11) * 0x1p-53;
    }

    /**
     * The block function.
     *
     * @param words in: counter, overwritten with the output, [4], each an unsigned 32-bit word
     * @param key two words, the first one in the low half
     */
    static void philox(int[] words, long key) {
        int k0 = (int) key;
        int k1 = (int) (key >>> 32);
        for (int round = 0; round < ROUNDS; round++) {
            long p = MULTIPLIER_0 * (words[0] & WORD);
            long r = MULTIPLIER_1 * (words[2] & WORD);
            words[0] = (int) (r >>> 32) ^ words[1] ^ k0;
            words[1] = (int) r;
            words[2] = (int) (p >>> 32) ^ words[3] ^ k1;
            words[3] = (int) p;
            k0 += WEYL_0;
            k1 += WEYL_1;
        }
    }
}
