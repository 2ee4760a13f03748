package dev.freshet.cli;

import dev.freshet.engine.Engine;
import dev.freshet.engine.EngineConfig;
import dev.freshet.engine.GenerationRequest;
import dev.freshet.engine.StepResult;
import dev.freshet.engine.StopCondition;
import dev.freshet.model.Model;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import java.util.List;
import java.util.Set;

/** One drafting mode over a list of prompts with a fixed number of them in flight. Confined to one thread. */
final class DraftRun {

    private final Engine engine;
    private final SpeculationMode mode;
    private final int inFlight;
    private final List<int[]> prompts;
    private final SamplingParams params;

    /**
     * What one pass over the prompts brought.
     *
     * @param texts generated ids of each prompt
     * @param tokensPerSecond generated tokens over the time of all steps, prompts included
     * @param acceptedLength tokens a sequence gets in a step without prompt tokens
     * @param stepNanos mean time of a step without prompt tokens
     * @param rows mean rows of such a step
     */
    record Pass(int[][] texts, double tokensPerSecond, double acceptedLength, double stepNanos, double rows) {}

    /** Keeps its engine, and what that has learned about drafts, from pass to pass. */
    DraftRun(
            Model model,
            Set<Integer> endTokens,
            SpeculationMode mode,
            int inFlight,
            List<int[]> prompts,
            SamplingParams params) {
        engine = new Engine(model, EngineConfig.of(inFlight, endTokens).withStepTimer(System::nanoTime));
        this.mode = mode;
        this.inFlight = inFlight;
        this.prompts = prompts;
        this.params = params;
    }

    SpeculationMode mode() {
        return mode;
    }

    /** Generates from every prompt once. */
    Pass pass() {
        int[][] texts = new int[prompts.size()][];
        int next = 0;
        int flying = 0;
        long tokens = 0;
        long steps = 0;
        long sequences = 0;
        long stepTokens = 0;
        long stepNanos = 0;
        long stepRows = 0;
        long start = System.nanoTime();
        while (next < prompts.size() || flying > 0) {
            while (flying < inFlight && next < prompts.size()) {
                engine.submit(request(next++));
                flying++;
            }
            long before = System.nanoTime();
            StepResult step = engine.step();
            long nanos = System.nanoTime() - before;
            tokens += step.stats().generatedTokens();
            if (step.stats().promptTokens() == 0) {
                steps++;
                stepNanos += nanos;
                sequences += step.accepted().size();
                stepTokens += step.stats().generatedTokens();
                stepRows += step.stats().rows();
            }
            for (StepResult.Finished finished : step.finished()) {
                texts[Integer.parseInt(finished.id())] = finished.tokens();
                flying--;
            }
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        return new Pass(
                texts,
                tokens / seconds,
                sequences == 0 ? 0 : (double) stepTokens / sequences,
                steps == 0 ? 0 : (double) stepNanos / steps,
                steps == 0 ? 0 : (double) stepRows / steps);
    }

    private GenerationRequest request(int i) {
        SamplingParams own = params.toBuilder().seed(i).build();
        return new GenerationRequest(String.valueOf(i), prompts.get(i), own, StopCondition.NONE, mode, 0);
    }
}
