package dev.freshet.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.request.ConfigError;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Words the refusals of tokenizer files in one way. */
final class TokenizerError {

    private static final int SHOWN = 60;

    private TokenizerError() {}

    static ConfigError of(Path file, String problem, String cure, @Nullable Throwable cause) {
        String message = "Cannot read tokenizer: " + problem + " (" + file + "). " + cure;
        return cause == null ? new ConfigError(message) : new ConfigError(message, cause);
    }

    static ConfigError of(Path file, String problem, String cure) {
        return of(file, problem, cure, null);
    }

    /** A value from a file, clipped and safe to print. */
    static String shown(@Nullable JsonNode node) {
        return node == null || node.isMissingNode() ? "nothing" : shown(node.toString());
    }

    /** A text from a file, clipped and safe to print. */
    static String shown(String text) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < Math.min(text.length(), SHOWN); i++) {
            char c = text.charAt(i);
            out.append(c < ' ' || c >= 0x7f ? '?' : c);
        }
        return text.length() > SHOWN ? out + "..." : out.toString();
    }
}
