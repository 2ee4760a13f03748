package dev.freshet.speculative;

/**
 * Candidate tokens of one sequence: node 0 is the token already chosen, every other node a guess for the position after its parent.
 * Immutable.
 *
 * @param tokens [n] token of each node
 * @param parents [n] parent of each node, smaller than its own index; -1 for node 0
 */
public record DraftTree(int[] tokens, int[] parents) {

    /** The chosen token alone: plain decoding. */
    public static DraftTree single(int token) {
        return new DraftTree(new int[] {token}, new int[] {-1});
    }

    /** The chosen token followed by guesses in a row. */
    public static DraftTree chain(int token, int[] guesses, int count) {
        int[] tokens = new int[count + 1];
        int[] parents = new int[count + 1];
        tokens[0] = token;
        parents[0] = -1;
        for (int i = 1; i <= count; i++) {
            tokens[i] = guesses[i - 1];
            parents[i] = i - 1;
        }
        return new DraftTree(tokens, parents);
    }

    /** Number of nodes. */
    public int size() {
        return tokens.length;
    }

    /** The child of a node that carries a token, or -1. */
    public int child(int node, int token) {
        for (int i = node + 1; i < parents.length; i++) {
            if (parents[i] == node && tokens[i] == token) {
                return i;
            }
        }
        return -1;
    }
}
