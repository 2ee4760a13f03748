package dev.freshet.request;

import java.util.List;
import java.util.Map;

/**
 * Sampling parameters of one request, with the names and defaults of vLLM's {@code SamplingParams}. Immutable.
 *
 * @param maxTokens upper bound of generated tokens, at least 1
 * @param minTokens stop tokens and stop strings are ignored before this many generated tokens
 * @param temperature 0 takes the most probable token
 * @param topP nucleus mass in (0, 1]; 1 is off
 * @param topK number of tokens kept; 0 is off
 * @param minP tokens below this share of the largest probability are dropped; 0 is off
 * @param repetitionPenalty divides positive and multiplies other logits of tokens in prompt or output; 1 is off
 * @param presencePenalty subtracted from the logits of tokens in the output
 * @param frequencyPenalty subtracted once for every occurrence in the output
 * @param logitBias added to the logits, by token id
 * @param stop strings that end the generation
 * @param stopTokenIds token ids that end the generation
 * @param ignoreEos whether the model's own end tokens are ordinary tokens
 * @param includeStop whether the matched stop string stays in the text
 * @param skipSpecialTokens whether special tokens are left out of the text
 * @param logprobs number of alternatives reported with each token; -1 reports nothing, 0 the chosen token alone
 * @param seed key of the counter-based random numbers
 */
public record SamplingParams(
        int maxTokens,
        int minTokens,
        double temperature,
        double topP,
        int topK,
        double minP,
        double repetitionPenalty,
        double presencePenalty,
        double frequencyPenalty,
        Map<Integer, Double> logitBias,
        List<String> stop,
        List<Integer> stopTokenIds,
        boolean ignoreEos,
        boolean includeStop,
        boolean skipSpecialTokens,
        int logprobs,
        long seed) {

    public SamplingParams {
        logitBias = Map.copyOf(logitBias);
        stop = List.copyOf(stop);
        stopTokenIds = List.copyOf(stopTokenIds);
    }

    /** Returns a builder that holds vLLM's defaults: 16 tokens at temperature 1, nothing cut off. */
    public static Builder builder() {
        return new Builder();
    }

    /** Returns a builder that holds these values. */
    public Builder toBuilder() {
        Builder b = new Builder();
        b.maxTokens = maxTokens;
        b.minTokens = minTokens;
        b.temperature = temperature;
        b.topP = topP;
        b.topK = topK;
        b.minP = minP;
        b.repetitionPenalty = repetitionPenalty;
        b.presencePenalty = presencePenalty;
        b.frequencyPenalty = frequencyPenalty;
        b.logitBias = logitBias;
        b.stop = stop;
        b.stopTokenIds = stopTokenIds;
        b.ignoreEos = ignoreEos;
        b.includeStop = includeStop;
        b.skipSpecialTokens = skipSpecialTokens;
        b.logprobs = logprobs;
        b.seed = seed;
        return b;
    }

    /** Whether the most probable token is taken without a draw. */
    public boolean greedy() {
        return temperature == 0;
    }

    /** Whether the processed logits depend on the tokens so far. */
    public boolean penalised() {
        return repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0;
    }

    /** Collects the values of a {@link SamplingParams}; every setter returns this builder. */
    public static final class Builder {
        private int maxTokens = 16;
        private int minTokens;
        private double temperature = 1;
        private double topP = 1;
        private int topK;
        private double minP;
        private double repetitionPenalty = 1;
        private double presencePenalty;
        private double frequencyPenalty;
        private Map<Integer, Double> logitBias = Map.of();
        private List<String> stop = List.of();
        private List<Integer> stopTokenIds = List.of();
        private boolean ignoreEos;
        private boolean includeStop;
        private boolean skipSpecialTokens = true;
        private int logprobs = -1;
        private long seed;

        private Builder() {}

        public Builder maxTokens(int value) {
            maxTokens = value;
            return this;
        }

        public Builder minTokens(int value) {
            minTokens = value;
            return this;
        }

        public Builder temperature(double value) {
            temperature = value;
            return this;
        }

        public Builder topP(double value) {
            topP = value;
            return this;
        }

        public Builder topK(int value) {
            topK = value;
            return this;
        }

        public Builder minP(double value) {
            minP = value;
            return this;
        }

        public Builder repetitionPenalty(double value) {
            repetitionPenalty = value;
            return this;
        }

        public Builder presencePenalty(double value) {
            presencePenalty = value;
            return this;
        }

        public Builder frequencyPenalty(double value) {
            frequencyPenalty = value;
            return this;
        }

        public Builder logitBias(Map<Integer, Double> value) {
            logitBias = value;
            return this;
        }

        public Builder stop(List<String> value) {
            stop = value;
            return this;
        }

        public Builder stopTokenIds(List<Integer> value) {
            stopTokenIds = value;
            return this;
        }

        public Builder ignoreEos(boolean value) {
            ignoreEos = value;
            return this;
        }

        public Builder includeStop(boolean value) {
            includeStop = value;
            return this;
        }

        public Builder skipSpecialTokens(boolean value) {
            skipSpecialTokens = value;
            return this;
        }

        public Builder logprobs(int value) {
            logprobs = value;
            return this;
        }

        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /** Returns the parameters; ranges are checked by {@link RequestValidator}, not here. */
        public SamplingParams build() {
            return new SamplingParams(
                    maxTokens,
                    minTokens,
                    temperature,
                    topP,
                    topK,
                    minP,
                    repetitionPenalty,
                    presencePenalty,
                    frequencyPenalty,
                    logitBias,
                    stop,
                    stopTokenIds,
                    ignoreEos,
                    includeStop,
                    skipSpecialTokens,
                    logprobs,
                    seed);
        }
    }
}
