package dev.freshet.operator;

import dev.freshet.engine.CheckpointPolicy;
import dev.freshet.request.RequestLimits;
import dev.freshet.request.SpeculationMode;
import java.io.Serializable;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a job tells its generate operator. Serializable, so that the job graph carries it. Immutable.
 *
 * @param job name of the job, written into metrics and dead letters
 * @param slots sequences that decode together in one subtask
 * @param queue requests that may wait for a slot in one subtask
 * @param prefillTokens prompt tokens run in one step beside the decoding sequences
 * @param speculation drafting mode of requests that name none
 * @param metricsInterval time between two metric records
 * @param checkpointInterval time between two checkpoints, zero when there are none; see {@link GenerateOperator}
 * @param inFlight what a checkpoint carries of the sequences in flight besides their tokens
 * @param recentIds ids of past requests remembered to recognise duplicates, 0 to answer every request
 * @param allowModelChange whether sequences of a checkpoint may go on with another model, from their prompts
 * @param promptBytes most UTF-8 bytes of a prompt
 * @param promptTokens most tokens of a prompt
 * @param maxTokens most generated tokens
 * @param emptyPrompt whether an empty prompt is served
 * @param blackBox directory in which the requests of a dying process are named, see {@link BlackBox}, or null for none
 * @param aliases names of the model that requests may use beside its own; the name {@code *} stands for all
 * @param conversations how sessions are kept, or null to refuse requests that belong to one
 */
public record OperatorOptions(
        String job,
        int slots,
        int queue,
        int prefillTokens,
        SpeculationMode speculation,
        Duration metricsInterval,
        Duration checkpointInterval,
        CheckpointPolicy inFlight,
        int recentIds,
        boolean allowModelChange,
        int promptBytes,
        int promptTokens,
        int maxTokens,
        boolean emptyPrompt,
        @Nullable String blackBox,
        Set<String> aliases,
        @Nullable ConversationOptions conversations)
        implements Serializable {

    private static final long serialVersionUID = 1L;
    private static final long AUTO_BYTES_PER_SECOND = 32 << 20;

    /** Returns options for a number of slots: a queue of four times as many, 256 prompt tokens a step, metrics every second. */
    public static OperatorOptions of(String job, int slots) {
        return new OperatorOptions(
                job,
                slots,
                4 * slots,
                256,
                SpeculationMode.AUTO,
                Duration.ofSeconds(1),
                Duration.ofSeconds(10),
                CheckpointPolicy.STATE,
                16_384,
                false,
                RequestLimits.defaults().promptBytes(),
                RequestLimits.defaults().promptTokens(),
                RequestLimits.defaults().maxTokens(),
                false,
                null,
                Set.of(),
                null);
    }

    /** Returns a copy that allows another model to go on with sequences of a checkpoint, or not. */
    public OperatorOptions withModelChange(boolean allowed) {
        return with(inFlight, allowed, blackBox, conversations);
    }

    /** Returns a copy with another policy for the sequences in flight. */
    public OperatorOptions withInFlight(CheckpointPolicy policy) {
        return with(policy, allowModelChange, blackBox, conversations);
    }

    /** Returns a copy with a black box in a directory, or without. */
    public OperatorOptions withBlackBox(@Nullable String directory) {
        return with(inFlight, allowModelChange, directory, conversations);
    }

    /** Returns a copy that keeps conversations, or not. */
    public OperatorOptions withConversations(@Nullable ConversationOptions kept) {
        return with(inFlight, allowModelChange, blackBox, kept);
    }

    private OperatorOptions with(
            CheckpointPolicy policy, boolean modelChange, @Nullable String box, @Nullable ConversationOptions kept) {
        return new OperatorOptions(
                job,
                slots,
                queue,
                prefillTokens,
                speculation,
                metricsInterval,
                checkpointInterval,
                policy,
                recentIds,
                modelChange,
                promptBytes,
                promptTokens,
                maxTokens,
                emptyPrompt,
                box,
                aliases,
                kept);
    }

    /** Bytes of state in a checkpoint under AUTO: an average stream of 32 MiB a second to the checkpoint storage. */
    long autoBytes() {
        return AUTO_BYTES_PER_SECOND * checkpointInterval.toMillis() / 1000;
    }

    RequestLimits limits() {
        return RequestLimits.defaults()
                .withLengths(promptBytes, promptTokens, maxTokens)
                .withEmptyPrompt(emptyPrompt);
    }

    Set<String> modelNames(String own) {
        Set<String> names = new HashSet<>(aliases);
        names.add(own);
        return names;
    }
}
