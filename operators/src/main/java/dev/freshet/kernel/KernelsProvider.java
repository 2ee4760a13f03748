package dev.freshet.kernel;

import dev.freshet.request.ConfigError;
import java.util.ServiceLoader;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Chooses a backend by name. Other modules add backends as services of this type; {@code auto} takes the first that can run and says
 * once why not a better one, a backend asked for by name never falls back.
 */
public interface KernelsProvider {

    /** Name that selects it. */
    String name();

    /** One sentence why it cannot run here, with the cure, or an empty string when it can. */
    String obstacle();

    /** Starts the backend. */
    Kernels open(int threads);

    /** Starts the backend of a name: auto, reference, vector, or one that another module provides. */
    static Kernels select(String name, int threads) {
        Logger log = LoggerFactory.getLogger(KernelsProvider.class);
        switch (name) {
            case "reference":
                return new ReferenceKernels();
            case "vector":
                String obstacle = vectorObstacle();
                if (!obstacle.isEmpty()) {
                    throw new ConfigError("Cannot use kernels vector: " + obstacle);
                }
                return new VectorKernels(threads);
            case "auto":
                return automatic(threads, log);
            default:
                KernelsProvider named = provided(name);
                if (named == null) {
                    throw new ConfigError(
                            "Cannot use kernels " + name
                                    + ": expected auto, reference, vector or the name of an installed backend (cuda). Check --kernels.");
                }
                if (!named.obstacle().isEmpty()) {
                    throw new ConfigError("Cannot use kernels " + name + ": " + named.obstacle());
                }
                return named.open(threads);
        }
    }

    private static Kernels automatic(int threads, Logger log) {
        for (KernelsProvider provider : ServiceLoader.load(KernelsProvider.class)) {
            String obstacle = provider.obstacle();
            if (obstacle.isEmpty()) {
                return provider.open(threads);
            }
            log.info("Not using {} kernels: {}", provider.name(), obstacle);
        }
        String obstacle = vectorObstacle();
        if (obstacle.isEmpty()) {
            return new VectorKernels(threads);
        }
        log.warn("Using the slow reference kernels: {}", obstacle);
        return new ReferenceKernels();
    }

    private static @org.jspecify.annotations.Nullable KernelsProvider provided(String name) {
        for (KernelsProvider provider : ServiceLoader.load(KernelsProvider.class)) {
            if (provider.name().equals(name)) {
                return provider;
            }
        }
        return null;
    }

    /** Why the Vector API cannot be used in this JVM, or an empty string. */
    static String vectorObstacle() {
        return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()
                ? ""
                : "the module jdk.incubator.vector is not readable. Start Java with --add-modules jdk.incubator.vector.";
    }
}
