package dev.freshet.sql;

import dev.freshet.kernel.WeightFormat;
import dev.freshet.operator.DirectoryModel;
import dev.freshet.request.SpeculationMode;
import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.jspecify.annotations.Nullable;

/**
 * What the WITH clause of a model says: the model, the size of the engine, and the sampling of every request. Immutable.
 *
 * @param loader the model
 * @param slots sequences that decode together in each subtask
 * @param speculation drafting mode
 * @param chat whether each prompt is the turn of a user in a conversation
 * @param systemPrompt what the conversation begins with, or null
 * @param sampling how tokens are chosen
 */
record ModelSettings(
        DirectoryModel loader,
        int slots,
        SpeculationMode speculation,
        boolean chat,
        @Nullable String systemPrompt,
        Sampling sampling)
        implements Serializable {

    static final ConfigOption<String> MODEL =
            text("model", "Model directory, readable under this path on every task manager.");
    static final ConfigOption<String> KERNELS = ConfigOptions.key("kernels")
            .stringType()
            .defaultValue("auto")
            .withDescription("Backend: auto, vector, cuda, ...");
    static final ConfigOption<Integer> THREADS = ConfigOptions.key("threads")
            .intType()
            .defaultValue(0)
            .withDescription("Threads of the backend, 0 for one per core.");
    static final ConfigOption<Integer> SLOTS =
            ConfigOptions.key("slots").intType().defaultValue(8).withDescription("Sequences that decode together.");
    static final ConfigOption<Integer> CONTEXT = ConfigOptions.key("context")
            .intType()
            .defaultValue(0)
            .withDescription("Longest sequence where the model has a limit, 0 for the model's own.");
    static final ConfigOption<String> WEIGHTS =
            text("weights", "Weights in memory: f32, bf16 or int8; else as in the file.");
    static final ConfigOption<SpeculationMode> SPECULATIVE = ConfigOptions.key("speculative")
            .enumType(SpeculationMode.class)
            .defaultValue(SpeculationMode.AUTO)
            .withDescription("Drafting mode.");
    static final ConfigOption<String> CHAT_FORMAT =
            text("chat-format", "Takes each prompt for a user's turn in this format: plain, chatml, llama2, llama3.");
    static final ConfigOption<String> SYSTEM_PROMPT =
            text("system-prompt", "Begins each conversation; needs chat-format.");
    static final ConfigOption<Long> MAX_TOKENS = whole("max-tokens", "Upper bound of generated tokens.");
    static final ConfigOption<Double> TEMPERATURE =
            real("temperature", "Divides the logits; 0 takes the most probable token.");
    static final ConfigOption<Double> TOP_P = real("top-p", "Nucleus mass.");
    static final ConfigOption<Long> TOP_K = whole("top-k", "Number of most probable tokens kept.");
    static final ConfigOption<Double> MIN_P =
            real("min-p", "Share of the largest probability below which tokens are dropped.");
    static final ConfigOption<Long> SEED =
            whole("seed", "Key of the random numbers; without it one is derived from the prompt.");
    static final ConfigOption<List<String>> STOP = ConfigOptions.key("stop")
            .stringType()
            .asList()
            .noDefaultValue()
            .withDescription("Strings that end the text, separated by semicolons.");

    static final Set<ConfigOption<?>> OPTIONAL = Set.of(
            KERNELS,
            THREADS,
            SLOTS,
            CONTEXT,
            WEIGHTS,
            SPECULATIVE,
            CHAT_FORMAT,
            SYSTEM_PROMPT,
            MAX_TOKENS,
            TEMPERATURE,
            TOP_P,
            TOP_K,
            MIN_P,
            SEED,
            STOP);

    /** How tokens are chosen; null takes the engine's default. */
    record Sampling(
            @Nullable Long maxTokens,
            @Nullable Double temperature,
            @Nullable Double topP,
            @Nullable Long topK,
            @Nullable Double minP,
            @Nullable Long seed,
            List<String> stop)
            implements Serializable {}

    private static ConfigOption<String> text(String key, String description) {
        return ConfigOptions.key(key).stringType().noDefaultValue().withDescription(description);
    }

    private static ConfigOption<Long> whole(String key, String description) {
        return ConfigOptions.key(key).longType().noDefaultValue().withDescription(description);
    }

    private static ConfigOption<Double> real(String key, String description) {
        return ConfigOptions.key(key).doubleType().noDefaultValue().withDescription(description);
    }

    /** Reads the WITH clause. */
    static ModelSettings of(ReadableConfig options) {
        String chatFormat = options.get(CHAT_FORMAT);
        return new ModelSettings(
                new DirectoryModel(
                        options.get(MODEL),
                        options.get(KERNELS),
                        options.get(THREADS),
                        options.get(CONTEXT),
                        options.getOptional(WEIGHTS)
                                .map(name -> WeightFormat.valueOf(name.toUpperCase(Locale.ROOT)))
                                .orElse(null),
                        chatFormat == null ? "plain" : chatFormat),
                options.get(SLOTS),
                options.get(SPECULATIVE),
                chatFormat != null,
                options.get(SYSTEM_PROMPT),
                new Sampling(
                        options.get(MAX_TOKENS),
                        options.get(TEMPERATURE),
                        options.get(TOP_P),
                        options.get(TOP_K),
                        options.get(MIN_P),
                        options.get(SEED),
                        List.copyOf(options.getOptional(STOP).orElse(List.of()))));
    }

    /** The request of one row. */
    Prompt request(String id, String text) {
        Prompt.Builder request = Prompt.newBuilder()
                .setId(id)
                .setMaxTokens(sampling.maxTokens())
                .setTemperature(sampling.temperature())
                .setTopP(sampling.topP())
                .setTopK(sampling.topK())
                .setMinP(sampling.minP())
                .setSeed(sampling.seed())
                .setStop(sampling.stop());
        if (!chat) {
            return request.setPrompt(text).build();
        }
        List<Message> turns = new ArrayList<>();
        if (systemPrompt != null) {
            turns.add(new Message("system", systemPrompt));
        }
        turns.add(new Message("user", text));
        return request.setMessages(turns).build();
    }
}
