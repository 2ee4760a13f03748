package dev.freshet.request;

/**
 * The reason why Freshet refuses to start: a wrong option, model directory or environment. The message is one sentence with
 * expected, got, place and cure; commands print it alone and exit with status 2.
 */
public final class ConfigError extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public ConfigError(String message) {
        super(message);
    }

    public ConfigError(String message, Throwable cause) {
        super(message, cause);
    }
}
