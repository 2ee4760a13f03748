package dev.freshet.wire;

import java.io.Serializable;
import java.net.URI;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How records are read and written. Serializable, so that a job carries it and its tasks build their own codecs. Immutable.
 *
 * @param maxBytes longest record that is looked at, 1 to 32 MiB
 * @param strict whether a JSON request with a field that nobody knows is refused
 * @param registry base address of the schema registry, or null without one
 * @param registryTimeout how long one answer of the registry may take
 */
public record WireOptions(int maxBytes, boolean strict, @Nullable URI registry, Duration registryTimeout)
        implements Serializable {

    private static final int LARGEST = 32 << 20;

    public WireOptions {
        if (maxBytes < 1 || maxBytes > LARGEST) {
            throw new IllegalArgumentException("Cannot set up a wire format: expected a record limit from 1 to "
                    + LARGEST + " bytes, got " + maxBytes + ". Correct the record limit.");
        }
        if (registryTimeout.isNegative() || registryTimeout.isZero()) {
            throw new IllegalArgumentException("Cannot set up a wire format: expected a registry timeout above 0, got "
                    + registryTimeout + ". Correct the registry timeout.");
        }
    }

    /** Records of up to 1 MiB, unknown JSON fields ignored, no registry. */
    public static WireOptions defaults() {
        return new WireOptions(1 << 20, false, null, Duration.ofSeconds(5));
    }

    /** Returns a copy with this record limit in bytes. */
    public WireOptions withMaxBytes(int bytes) {
        return new WireOptions(bytes, strict, registry, registryTimeout);
    }

    /** Returns a copy that refuses unknown JSON fields, or not. */
    public WireOptions withStrict(boolean value) {
        return new WireOptions(maxBytes, value, registry, registryTimeout);
    }

    /** Returns a copy with this registry, for example {@code http://host:8081}; Apicurio's API lies under a path of its own. */
    public WireOptions withRegistry(URI base) {
        return new WireOptions(maxBytes, strict, base, registryTimeout);
    }

    /** Returns a copy with this patience for one answer of the registry. */
    public WireOptions withRegistryTimeout(Duration timeout) {
        return new WireOptions(maxBytes, strict, registry, timeout);
    }
}
