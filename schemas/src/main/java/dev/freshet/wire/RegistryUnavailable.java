package dev.freshet.wire;

/**
 * The schema registry gave no usable answer: down, slow, refusing, or not a registry. Retriable: the caller waits and tries
 * again, which holds the stream back; no record may be refused because of it.
 */
public final class RegistryUnavailable extends RuntimeException {

    private static final long serialVersionUID = 1L;

    RegistryUnavailable(String message) {
        super(message);
    }

    RegistryUnavailable(String message, Throwable cause) {
        super(message, cause);
    }
}
