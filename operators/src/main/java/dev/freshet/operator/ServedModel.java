package dev.freshet.operator;

import dev.freshet.model.Model;
import java.util.Set;

/**
 * A loaded model with what its answers are signed with. Confined to the engine thread.
 *
 * @param model the model
 * @param texts text to ids and back
 * @param endTokens ids that end a text
 * @param name name that requests and answers use
 * @param fingerprint hash of the model's files
 * @param backend name of the kernels
 * @param release frees what the model holds beside its own memory
 */
public record ServedModel(
        Model model,
        Texts texts,
        Set<Integer> endTokens,
        String name,
        String fingerprint,
        String backend,
        Runnable release)
        implements AutoCloseable {

    @Override
    public void close() {
        model.close();
        release.run();
    }
}
