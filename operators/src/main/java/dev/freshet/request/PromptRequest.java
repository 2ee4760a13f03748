package dev.freshet.request;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A validated request. Exactly one of prompt, messages (not empty) and promptTokenIds is given. Immutable.
 *
 * @param id unique id; derived from topic, partition and offset where the producer gave none
 * @param prompt text, or null
 * @param messages conversation, empty when prompt or promptTokenIds is given
 * @param promptTokenIds token ids, or null; they need no tokenizer and get no BOS added
 * @param chatFormat id of the built-in chat format for messages, or null for the job's default
 * @param params sampling parameters, seed included
 * @param speculation drafting mode, or null for the job's default
 * @param echo whether the prompt is put in front of the text
 * @param stream whether token chunks are emitted
 * @param returnTokenIds whether the completion carries its token ids
 * @param priority smaller runs earlier; 0 by default
 * @param deadlineMillis epoch milliseconds after which the request is worthless, or null
 * @param session conversation to continue, or null
 * @param model requested model name, or null
 */
public record PromptRequest(
        String id,
        @Nullable String prompt,
        List<ChatMessage> messages,
        int @Nullable [] promptTokenIds,
        @Nullable String chatFormat,
        SamplingParams params,
        @Nullable SpeculationMode speculation,
        boolean echo,
        boolean stream,
        boolean returnTokenIds,
        int priority,
        @Nullable Long deadlineMillis,
        @Nullable SessionTurn session,
        @Nullable String model) {

    // Spelled out because a compact constructor loses the annotation of the array parameter.
    public PromptRequest(
            String id,
            @Nullable String prompt,
            List<ChatMessage> messages,
            int @Nullable [] promptTokenIds,
            @Nullable String chatFormat,
            SamplingParams params,
            @Nullable SpeculationMode speculation,
            boolean echo,
            boolean stream,
            boolean returnTokenIds,
            int priority,
            @Nullable Long deadlineMillis,
            @Nullable SessionTurn session,
            @Nullable String model) {
        this.id = id;
        this.prompt = prompt;
        this.messages = List.copyOf(messages);
        this.promptTokenIds = promptTokenIds;
        this.chatFormat = chatFormat;
        this.params = params;
        this.speculation = speculation;
        this.echo = echo;
        this.stream = stream;
        this.returnTokenIds = returnTokenIds;
        this.priority = priority;
        this.deadlineMillis = deadlineMillis;
        this.session = session;
        this.model = model;
    }

    /** Whether the request is a conversation, which decides the shape of the answer. */
    public boolean chat() {
        return !messages.isEmpty();
    }
}
