package dev.freshet.job;

import dev.freshet.operator.OfflineServing;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;
import java.io.IOException;
import java.util.Comparator;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.TreeMap;
import java.util.function.LongSupplier;

/**
 * Answers the lines of a file that have no answer yet. Lines are read as slots need them, through a window of bounded size in which
 * those with most to generate go first: the short ones at the end then leave few slots empty. Confined to one thread.
 */
final class BatchRun {

    private static final int WINDOW_LINES = 1024;
    private static final long WINDOW_BYTES = 64L << 20;
    private static final long DEFAULT_TOKENS = 16;
    private static final long SYNC_NANOS = 1_000_000_000;

    /** Prompt bytes that cost about as much as one generated token. */
    private static final int BYTES_A_TOKEN = 256;

    private final OfflineServing serving;
    private final BatchOutput output;
    private final BatchManifest manifest;
    private final boolean metrics;
    private final LongSupplier clock;
    private final BatchRequests requests;
    private final PriorityQueue<Waiting> window = new PriorityQueue<>(Comparator.<Waiting>comparingLong(w -> w.priority)
            .thenComparing(Comparator.<Waiting>comparingLong(w -> w.work).reversed())
            .thenComparingLong(w -> w.line));
    private long windowBytes;
    private boolean ended;
    private final Counts counts = new Counts();

    /** A request that waits for a slot. */
    private record Waiting(Prompt request, long line, int bytes, long priority, long work) {}

    /** What has been done so far. */
    static final class Counts {
        long completed;
        long failed;
        final Map<String, Long> failures = new TreeMap<>();
        long tokens;
        long promptTokens;
        long steps;
        long fullSlots;
        long possibleSlots;
    }

    /** Called after every step. */
    @FunctionalInterface
    interface Watcher {
        void stepped(Counts counts);
    }

    /**
     * Creates a run.
     *
     * @param metrics whether answers carry their times, which differ from run to run
     * @param clock nanoseconds of a monotonic clock
     */
    BatchRun(OfflineServing serving, BatchOutput output, BatchManifest manifest, boolean metrics, LongSupplier clock) {
        this.serving = serving;
        this.output = output;
        this.manifest = manifest;
        this.metrics = metrics;
        this.clock = clock;
        requests = new BatchRequests(manifest.source());
    }

    /** Runs to the end of the input. */
    Counts run(BatchInput input, Watcher watcher) throws IOException {
        long synced = clock.getAsLong();
        while (true) {
            fill(input);
            while (serving.wantsMore() && !window.isEmpty()) {
                Waiting next = window.remove();
                windowBytes -= next.bytes;
                serving.submit(next.request, next.line);
            }
            if (ended && window.isEmpty() && serving.isIdle()) {
                output.sync();
                return counts;
            }
            boolean tail = ended && window.isEmpty();
            for (Completion completion : serving.step()) {
                answer(completion);
            }
            counts.steps++;
            if (!tail) {
                counts.fullSlots += serving.busy();
                counts.possibleSlots += serving.slots();
            }
            if (clock.getAsLong() - synced > SYNC_NANOS) {
                output.sync();
                synced = clock.getAsLong();
            }
            watcher.stepped(counts);
        }
    }

    private void fill(BatchInput input) throws IOException {
        while (!ended && window.size() < WINDOW_LINES && windowBytes < WINDOW_BYTES) {
            BatchInput.Line line = input.next();
            if (line == null) {
                ended = true;
            } else {
                take(line);
            }
        }
    }

    private void take(BatchInput.Line line) throws IOException {
        BatchRequests.Result result = requests.read(line.number(), line.bytes(), line.tooLong());
        if (output.has(line.number())) {
            return;
        }
        if (result instanceof BatchRequests.Request request) {
            queue(request.prompt(), line.number(), line.bytes().length);
        } else {
            BatchRequests.Refusal refusal = (BatchRequests.Refusal) result;
            answer(serving.refuse(refusal.id(), line.number(), refusal.code(), refusal.field(), refusal.message()));
        }
    }

    private void queue(Prompt request, long line, int bytes) {
        Long limit = request.getMaxTokens() == null ? request.getMaxCompletionTokens() : request.getMaxTokens();
        long tokens = limit == null ? DEFAULT_TOKENS : limit;
        long work = tokens + promptBytes(request) / BYTES_A_TOKEN;
        window.add(new Waiting(request, line, bytes, request.getPriority(), work));
        windowBytes += bytes;
    }

    private static long promptBytes(Prompt request) {
        if (request.getPrompt() != null) {
            return request.getPrompt().length();
        }
        if (request.getPromptTokenIds() != null) {
            return 4L * request.getPromptTokenIds().size();
        }
        long sum = 0;
        if (request.getMessages() != null) {
            for (Message message : request.getMessages()) {
                sum += message.getContent().length();
            }
        }
        return sum;
    }

    private void answer(Completion completion) throws IOException {
        if (completion.getError() == null) {
            counts.completed++;
        } else {
            counts.failed++;
            counts.failures.merge(completion.getError().getCode(), 1L, Long::sum);
        }
        if (completion.getUsage() != null) {
            counts.tokens += completion.getUsage().getCompletionTokens();
            counts.promptTokens += completion.getUsage().getPromptTokens();
        }
        completion.setCreated(manifest.created());
        if (!metrics) {
            completion.setMetrics(null);
        }
        output.add(completion);
    }
}
