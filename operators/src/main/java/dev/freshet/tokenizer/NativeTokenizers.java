package dev.freshet.tokenizer;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Loads the Hugging Face tokenizers library that travels inside DJL's jar, once for each class loader and without network. DJL
 * would unpack it below the user's home, ask a cloud metadata service who we are, and download a CUDA build where it sees a GPU;
 * so while it loads it is told to be offline, and it unpacks into a private folder that is gone afterwards. A folder of its own for
 * each class loader is also what lets a restarted Flink job load the library again.
 */
final class NativeTokenizers {

    private NativeTokenizers() {}

    /** Returns the library's entry points; throws ConfigError when this machine cannot load it. */
    static TokenizersLibrary library() {
        Failure failure = Loaded.FAILURE;
        if (failure != null) {
            throw new ConfigError(failure.message(), failure.cause());
        }
        return TokenizersLibrary.LIB;
    }

    private static final class Loaded {
        static final @Nullable Failure FAILURE = load();
    }

    private record Failure(String message, Throwable cause) {}

    // Any failure of a static initialiser, native linking included, has to become the same clear refusal.
    @SuppressWarnings("CatchingUnchecked")
    private static @Nullable Failure load() {
        Map<String, @Nullable String> before = new HashMap<>();
        Thread thread = Thread.currentThread();
        ClassLoader contextLoader = thread.getContextClassLoader();
        Path folder = null;
        try {
            folder = Files.createTempDirectory("freshet-tokenizers");
            Map<String, String> settings =
                    Map.of("ai.djl.offline", "true", "OPT_OUT_TRACKING", "true", "ENGINE_CACHE_DIR", folder.toString());
            settings.forEach((key, value) -> before.put(key, System.getProperty(key)));
            settings.forEach((key, value) -> {
                if (before.get(key) == null) {
                    System.setProperty(key, value);
                }
            });
            // DJL looks for its resources through the context class loader, which in Flink may be the cluster's.
            thread.setContextClassLoader(LibUtils.class.getClassLoader());
            LibUtils.checkStatus();
            return null;
        } catch (Exception | LinkageError | AssertionError e) {
            return new Failure(
                    "Cannot load the tokenizers library: expected the one inside DJL's jar to load, got " + rootCause(e)
                            + " (" + System.getProperty("os.name") + " " + System.getProperty("os.arch")
                            + "). Check that the temporary folder allows execution, or set -DENGINE_CACHE_DIR to one that does.",
                    e);
        } finally {
            thread.setContextClassLoader(contextLoader);
            before.forEach((key, value) -> {
                if (value == null) {
                    System.clearProperty(key);
                }
            });
            delete(folder);
        }
    }

    private static String rootCause(Throwable e) {
        Throwable cause = e;
        while (cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        return cause.getClass().getSimpleName() + ": " + cause.getMessage();
    }

    // Where an open library cannot be removed, the folder goes with the process.
    private static void delete(@Nullable Path folder) {
        if (folder == null) {
            return;
        }
        List<Path> paths = new ArrayList<>();
        try (Stream<Path> walk = Files.walk(folder)) {
            walk.forEach(paths::add);
        } catch (IOException | UncheckedIOException e) {
            paths.add(folder);
        }
        paths.sort(Comparator.reverseOrder());
        for (Path path : paths) {
            if (!path.toFile().delete()) {
                path.toFile().deleteOnExit();
            }
        }
    }
}
