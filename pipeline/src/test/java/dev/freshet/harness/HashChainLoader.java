package dev.freshet.harness;

import dev.freshet.operator.HashChainModel;
import dev.freshet.operator.LetterTexts;
import dev.freshet.operator.ModelLoader;
import dev.freshet.operator.ServedModel;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;

/**
 * Loads a hash-chain model whose steps take a given time, so that a test can meet it in the middle of its texts: any state that is
 * lost, swapped or stale changes the text.
 *
 * @param stepMicros least time of a step
 * @param context longest sequence
 */
public record HashChainLoader(long stepMicros, int context) implements ModelLoader {

    /** Tokens of {@link LetterTexts}. */
    private static final int VOCABULARY = 27;

    private static final long serialVersionUID = 1L;

    @Override
    public ServedModel load(int slots) {
        HashChainModel model = new HashChainModel(VOCABULARY, context, slots);
        model.beforeForward(() -> LockSupport.parkNanos(stepMicros * 1000));
        return new ServedModel(
                model, new LetterTexts(), Set.of(0), "hash-chain", "hash-chain-fingerprint", "fake", () -> {});
    }

    /** The text that follows a prompt of small letters when the most probable token is always taken. */
    public static String expected(String prompt, int tokens) {
        return LetterTexts.text(HashChainModel.continuation(LetterTexts.ids(prompt), tokens, VOCABULARY));
    }
}
