package dev.freshet.cli;

import dev.freshet.request.ConfigError;
import org.jspecify.annotations.Nullable;

/** Turns exceptions into one sentence for a person; stack traces belong to the log. */
final class Causes {

    private static final int DEEPEST = 32;

    private Causes() {}

    /** Returns the message of a configuration error among the causes, or null. */
    static @Nullable ConfigError configuration(Throwable e) {
        Throwable cause = e;
        for (int i = 0; cause != null && i < DEEPEST; i++) {
            if (cause instanceof ConfigError error) {
                return error;
            }
            cause = cause.getCause();
        }
        return null;
    }

    /** Returns what went wrong at the bottom, in one line. */
    static String sentence(Throwable e) {
        Throwable cause = e;
        for (int i = 0; cause.getCause() != null && i < DEEPEST; i++) {
            cause = cause.getCause();
        }
        String message = cause.getMessage();
        String text = message == null || message.isBlank()
                ? ""
                : message.lines().findFirst().orElse("");
        return text.startsWith("Cannot ")
                ? text
                : cause.getClass().getSimpleName() + (text.isEmpty() ? "" : ": " + text);
    }
}
