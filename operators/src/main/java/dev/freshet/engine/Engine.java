package dev.freshet.engine;

import dev.freshet.kernel.Paths;
import dev.freshet.model.Batch;
import dev.freshet.model.Model;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.Sampler;
import dev.freshet.speculative.DraftTree;
import dev.freshet.speculative.TypicalAcceptance;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Continuous batching over one model: sequences join at any step, long prompts are run in chunks beside the decoding ones, and
 * finished ones leave. A completion depends on the model and its request alone (ARCHITECTURE.md, the bit rule). Confined to the
 * engine thread.
 */
public final class Engine {

    private final Model model;
    private final EngineConfig config;
    private final Scheduler scheduler;
    private final Choices choices;
    private final Drafting drafting;
    private final Snapshots snapshots;
    private final Batch batch;
    private final Paths paths;
    private final int[] path;
    private final List<Planned> plan = new ArrayList<>();
    private final List<StepResult.Finished> refused = new ArrayList<>();
    private @Nullable StepObserver observer;
    private long arrivals;

    /** One segment of the step at hand: a chunk of known tokens, or a draft whose root is the last known token. */
    private record Planned(Sequence sequence, int rows, int logitRow, @Nullable DraftTree draft) {}

    /** Creates an engine with as many slots as the model has. */
    public Engine(Model model, EngineConfig config) {
        this.model = model;
        this.config = config;
        scheduler = new Scheduler(model.slots());
        choices = new Choices(model);
        snapshots = new Snapshots(model);
        drafting = new Drafting(model, config.stepTimer() != null);
        batch = new Batch(model.slots(), model.maxRows(), model.maxLogitRows());
        paths = new Paths(model.slots(), model.maxRows());
        path = new int[model.maxRows()];
        for (int i = 0; i < path.length; i++) {
            path[i] = i;
        }
    }

    /** Has an observer see every step. */
    public void observe(StepObserver stepObserver) {
        observer = stepObserver;
    }

    /** Runs a sequence of the engine with no other beside it until so many of its tokens are committed. */
    public void isolate(String id, int untilPosition) {
        scheduler.isolate(id, untilPosition);
    }

    /** Whether {@link #submit} would accept another sequence. */
    public boolean hasRoom() {
        return scheduler.waiting() < config.queueLimit();
    }

    /**
     * Queues a sequence. One that can never run (a token outside the vocabulary, a prompt that fills the context) ends in the next
     * step with an error.
     *
     * @throws IllegalStateException when there is no room or the id is taken
     */
    public void submit(GenerationRequest request) {
        if (!hasRoom()) {
            throw new IllegalStateException("Cannot submit: expected room in the queue of " + config.queueLimit());
        }
        add(new Sequence(request, config.endTokens(), arrivals++));
    }

    /**
     * Queues a restored sequence ahead of new ones, room or not; stop must have seen the output tokens already. A state that does not
     * fit this model is not used: the sequence is then run again from its tokens.
     *
     * @return committed tokens that will be run again
     */
    public int restore(SequenceSnapshot snapshot, StopCondition stop) {
        return restore(snapshot, stop, false);
    }

    /** The same for a sequence that is kept at its end, or not: {@link GenerationRequest#kept()}. */
    public int restore(SequenceSnapshot snapshot, StopCondition stop, boolean kept) {
        GenerationRequest request = new GenerationRequest(
                snapshot.id(),
                snapshot.prompt(),
                snapshot.params(),
                stop,
                snapshot.speculation(),
                snapshot.priority(),
                kept);
        Sequence sequence = new Sequence(request, snapshot.output(), config.endTokens(), arrivals++);
        SequenceStats stats = snapshot.stats();
        sequence.drafts = stats.drafts();
        sequence.draftTokens = stats.draftTokens();
        sequence.acceptedDraftTokens = stats.acceptedDraftTokens();
        sequence.resumed = stats.resumed() + 1;
        int again = snapshots.resume(sequence, snapshot);
        sequence.recomputedTokens = stats.recomputedTokens() + again;
        sequence.logprobs.addAll(snapshot.logprobs());
        add(sequence);
        return again;
    }

    /**
     * Queues a sequence that goes on from another, room or not: its prompt begins with the tokens kept. A state that does not fit
     * this model is not used.
     *
     * @return tokens of the prompt that need not be run
     */
    public int follow(GenerationRequest request, Continuation before) {
        Sequence sequence = new Sequence(request, config.endTokens(), arrivals++);
        int cached = snapshots.follow(sequence, before);
        add(sequence);
        return cached;
    }

    private void add(Sequence sequence) {
        if (scheduler.contains(sequence.id)) {
            throw new IllegalStateException("Cannot submit: the id is taken by a sequence in the engine");
        }
        sequence.error = sequence.obstacle(model.vocabSize(), model.contextLength());
        if (sequence.error != null) {
            sequence.finish = FinishReason.ERROR;
            refused.add(sequence.finished());
        } else {
            scheduler.enqueue(sequence);
        }
    }

    /** Removes a sequence; returns what it generated so far with reason ABORT and no error set, or null when the id is unknown. */
    public StepResult.@Nullable Finished cancel(String id) {
        Sequence sequence = scheduler.take(id);
        if (sequence == null) {
            return null;
        }
        if (sequence.slot != Sequence.NO_SLOT) {
            model.release(sequence.slot, sequence.committed);
            scheduler.remove(List.of(sequence));
        }
        sequence.finish = FinishReason.ABORT;
        return sequence.finished();
    }

    /** Whether no sequence waits or decodes and no refusal waits to be reported. */
    public boolean isIdle() {
        return scheduler.isIdle() && refused.isEmpty();
    }

    /** Sequences with a slot. */
    public int running() {
        return scheduler.running().size();
    }

    /** Sequences without a slot. */
    public int waiting() {
        return scheduler.waiting();
    }

    /** Slots in all. */
    public int slots() {
        return model.slots();
    }

    /**
     * Returns all sequences in order of admission, waiting ones last; what they hold stays as it is while the engine goes on.
     *
     * @param autoBytes bytes of state in all under {@link CheckpointPolicy#AUTO}
     */
    public List<SequenceSnapshot> snapshot(CheckpointPolicy policy, long autoBytes) {
        return snapshots.take(scheduler.all(), policy, autoBytes);
    }

    /** Runs one iteration over all sequences that have a slot; an idle engine returns an empty result. */
    public StepResult step() {
        List<StepResult.Finished> finished = new ArrayList<>(refused);
        refused.clear();
        List<String> admitted = scheduler.admit(snapshots::load);
        long start = now();
        int prompt = planStep();
        if (plan.isEmpty()) {
            return new StepResult(admitted, List.of(), finished, new StepResult.Stats(0, 0, 0, 0, 0, 0));
        }
        if (observer != null) {
            observer.begin(plan.stream()
                    .map(p -> new StepObserver.Running(p.sequence.id, p.sequence.committed, p.rows))
                    .toList());
        }
        model.forward(batch);
        choices.draw();
        int[] drafted = new int[3];
        List<StepResult.Accepted> accepted = new ArrayList<>();
        List<Sequence> ended = new ArrayList<>();
        paths.clear();
        int first = 0;
        int generated = 0;
        for (Planned planned : plan) {
            Sequence s = planned.sequence;
            s.stepStart = s.outputLength();
            s.fresh.clear();
            int rows = planned.draft == null ? acceptChunk(planned) : acceptDraft(planned, drafted);
            // What is kept of a sequence holds all tokens but the last one, however many a draft brought with it.
            int lasting = s.finish == null ? rows : s.keepsState() ? s.length - 1 - s.committed : 0;
            paths.add(first, path, lasting);
            first += planned.rows;
            s.committed += lasting;
            int n = s.outputLength() - s.stepStart;
            generated += n;
            if (n > 0) {
                int[] tokens = Arrays.copyOfRange(s.tokens, s.length - n, s.length);
                accepted.add(new StepResult.Accepted(s.id, tokens, List.copyOf(s.fresh)));
                s.logprobs.addAll(s.fresh);
            }
            if (s.finish != null) {
                ended.add(s);
            }
        }
        model.commit(paths);
        for (Sequence s : ended) {
            s.continuation = s.keepsState() ? snapshots.keep(s) : null;
            finished.add(s.finished());
            model.release(s.slot, s.committed);
        }
        if (observer != null) {
            observer.end();
        }
        int decoding = plan.size();
        scheduler.remove(ended);
        if (prompt == 0) {
            drafting.record(decoding, generated, now() - start);
        }
        return new StepResult(
                admitted,
                accepted,
                finished,
                new StepResult.Stats(batch.rows(), prompt, generated, drafted[0], drafted[1], drafted[2]));
    }

    private long now() {
        return config.stepTimer() == null ? 0 : config.stepTimer().getAsLong();
    }

    /** Fills plan and batch; returns the number of prompt tokens in it. */
    private int planStep() {
        plan.clear();
        batch.clear();
        choices.clear();
        List<Sequence> decoding = new ArrayList<>();
        List<Sequence> prefill = new ArrayList<>();
        for (Sequence s : scheduler.batch()) {
            (s.decoding() ? decoding : prefill).add(s);
        }
        int reserved = prefill.isEmpty() ? 0 : Math.min(config.prefillTokens(), model.maxRows() - decoding.size());
        int spare = Math.min(
                model.maxLogitRows() - decoding.size() - prefill.size(), model.maxRows() - reserved - decoding.size());
        DraftTree[] drafts = drafting.propose(decoding, Math.max(0, spare), prefill.isEmpty());
        for (int i = 0; i < drafts.length; i++) {
            Sequence s = decoding.get(i);
            int logitRow = batch.addTree(s.slot, s.committed, drafts[i].tokens(), drafts[i].parents());
            plan.add(new Planned(s, drafts[i].size(), logitRow, drafts[i]));
            choices.add(s, logitRow, drafts[i]);
        }
        int left = Math.min(config.prefillTokens(), model.maxRows() - batch.rows());
        int prompt = 0;
        for (Sequence s : prefill) {
            if (left == 0) {
                break;
            }
            int group = model.groupSize();
            int room = group == Integer.MAX_VALUE ? Integer.MAX_VALUE : group - s.committed % group;
            int n = Math.min(s.pending(), Math.min(left, room));
            int logitRow = batch.addChunk(s.slot, s.tokens, s.committed, n, n == s.pending());
            plan.add(new Planned(s, n, logitRow, null));
            choices.add(s, logitRow);
            left -= n;
            prompt += n;
        }
        return prompt;
    }

    /** All rows of a chunk are known tokens; its last row may choose the next one. */
    private int acceptChunk(Planned planned) {
        if (planned.logitRow >= 0) {
            draw(planned.sequence, planned.logitRow);
            keepHidden(planned.sequence, planned.logitRow);
        }
        for (int i = 0; i < planned.rows; i++) {
            path[i] = i;
        }
        return planned.rows;
    }

    /** Walks from the root to the last accepted node; returns the number of accepted rows, the nodes are in path. */
    private int acceptDraft(Planned planned, int[] drafted) {
        Sequence s = planned.sequence;
        DraftTree tree = Objects.requireNonNull(planned.draft);
        int rows = s.speculation == SpeculationMode.TYPICAL && tree.size() > 1
                ? walkTypical(s, tree, planned.logitRow)
                : walkExact(s, tree, planned.logitRow);
        if (tree.size() > 1) {
            s.drafts++;
            s.draftTokens += tree.size() - 1;
            s.acceptedDraftTokens += rows - 1;
            drafted[0]++;
            drafted[1] += tree.size() - 1;
            drafted[2] += rows - 1;
            drafting.accepted(s, tree.size() - 1, rows - 1);
        }
        if (s.finish == null) {
            keepHidden(s, planned.logitRow + path[rows - 1]);
        }
        return rows;
    }

    /** Exact match: a guess is accepted iff it is the token that plain decoding draws there. */
    private int walkExact(Sequence s, DraftTree tree, int logitRow) {
        int rows = 1;
        path[0] = 0;
        int node = 0;
        while (true) {
            int token = draw(s, logitRow + node);
            int child = token < 0 ? -1 : tree.child(node, token);
            if (child >= 0) {
                path[rows++] = child;
            }
            if (child < 0 || s.finish != null) {
                return rows;
            }
            node = child;
        }
    }

    /** Typical acceptance, lossy: the deepest path that passes, then one drawn token. */
    private int walkTypical(Sequence s, DraftTree tree, int logitRow) {
        int last =
                TypicalAcceptance.lastNode(tree, model.logits(), logitRow, model.vocabSize(), s.params.temperature());
        int rows = 0;
        for (int node = last; node >= 0; node = tree.parents()[node]) {
            rows++;
        }
        int at = rows;
        for (int node = last; node >= 0; node = tree.parents()[node]) {
            path[--at] = node;
        }
        for (int i = 1; i < rows; i++) {
            int token = tree.tokens()[path[i]];
            take(s, logitRow + path[i - 1], token);
            if (s.finish != null) {
                return i + 1;
            }
        }
        draw(s, logitRow + last);
        return rows;
    }

    /** Draws the next token of a sequence from a logit row; returns it, or -1 after a numeric fault. */
    private int draw(Sequence s, int logitRow) {
        int token = choices.token(s, logitRow);
        if (token == Sampler.NUMERIC_FAULT) {
            s.fail();
            return -1;
        }
        take(s, logitRow, token);
        return token;
    }

    private void take(Sequence s, int logitRow, int token) {
        if (s.params.logprobs() >= 0) {
            s.fresh.add(choices.logprobs(s, logitRow, token));
        }
        s.append(token, model.contextLength());
    }

    private void keepHidden(Sequence s, int logitRow) {
        if (model.medusaHeads() == 0) {
            return;
        }
        if (s.hidden == null) {
            s.hidden = new float[model.hiddenSize()];
        }
        model.hidden(logitRow, s.hidden);
        s.hiddenReady = true;
    }
}
