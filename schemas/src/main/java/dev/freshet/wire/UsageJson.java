package dev.freshet.wire;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.schema.Usage;
import dev.freshet.wire.JsonText.Bad;
import org.jspecify.annotations.Nullable;

/** OpenAI's usage object. */
final class UsageJson {

    private UsageJson() {}

    static void write(ObjectNode body, @Nullable Usage usage) {
        if (usage == null) {
            return;
        }
        body.putObject("usage")
                .put("prompt_tokens", usage.getPromptTokens())
                .put("completion_tokens", usage.getCompletionTokens())
                .put("total_tokens", usage.getPromptTokens() + usage.getCompletionTokens())
                .putObject("prompt_tokens_details")
                .put("cached_tokens", usage.getCachedTokens());
    }

    static @Nullable Usage read(JsonFields body) throws Bad {
        JsonFields usage = body.object("usage");
        if (usage == null) {
            return null;
        }
        JsonFields details = usage.object("prompt_tokens_details");
        return new Usage(
                usage.integer("prompt_tokens", 0),
                usage.integer("completion_tokens", 0),
                details == null ? 0L : details.integer("cached_tokens", 0));
    }

    /** Reads a stop reason, which is a string or a token id. */
    static @Nullable Object stopReason(JsonFields choice) throws Bad {
        var reason = choice.node("stop_reason");
        if (reason == null) {
            return null;
        }
        return reason.isTextual()
                ? JsonFields.textOf(reason, "stop_reason")
                : JsonFields.int32Of(reason, "stop_reason");
    }
}
