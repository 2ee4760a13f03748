package dev.freshet.tensor;

import dev.freshet.request.ConfigError;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Words the refusals of this package in one way. */
final class WeightsError {

    private static final int SHOWN_NAME = 120;

    private WeightsError() {}

    static ConfigError of(Path file, String problem, String cure) {
        return of(file, problem, cure, null);
    }

    static ConfigError of(Path file, String problem, String cure, @Nullable Throwable cause) {
        String message = "Cannot read weights: " + problem + " (" + file + "). " + cure;
        return cause == null ? new ConfigError(message) : new ConfigError(message, cause);
    }

    /** A name from a file, safe to print: clipped and without control characters. */
    static String shown(String name) {
        String clipped = name.length() <= SHOWN_NAME ? name : name.substring(0, SHOWN_NAME) + "...";
        StringBuilder out = new StringBuilder(clipped.length());
        for (int i = 0; i < clipped.length(); i++) {
            char c = clipped.charAt(i);
            out.append(
                    Character.isISOControl(c) || Character.isSurrogate(c) || c == '\u2028' || c == '\u2029' ? '?' : c);
        }
        return out.toString();
    }
}
