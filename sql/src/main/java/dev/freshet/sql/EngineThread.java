package dev.freshet.sql;

import dev.freshet.operator.OfflineServing;
import dev.freshet.operator.ServedModel;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * An engine with a thread of its own, since Flink's asynchronous operator leaves none for it. The queue has no limit of its own:
 * Flink lets a limited number of rows in. Thread-safe.
 */
final class EngineThread implements AutoCloseable {

    private static final long IDLE_MILLIS = 50;

    private final ServedModel model;
    private final OfflineServing serving;
    private final BlockingQueue<Job> queue = new LinkedBlockingQueue<>();
    private final Map<Long, Job> running = new HashMap<>();
    private final Thread thread = new Thread(this::run, "freshet-sql-engine");
    private volatile boolean closed;
    private volatile @Nullable Throwable failure;
    private long next;

    private record Job(Prompt request, CompletableFuture<Completion> answer) {}

    private EngineThread(ServedModel model, ModelSettings settings) {
        this.model = model;
        serving = new OfflineServing(model, "sql", settings.slots(), settings.speculation(), Set.of());
        thread.setDaemon(true);
    }

    /**
     * Loads the model and starts its engine.
     *
     * @throws dev.freshet.request.ConfigError when the model cannot be served here
     */
    static EngineThread start(ModelSettings settings) {
        EngineThread engine = new EngineThread(settings.loader().load(settings.slots()), settings);
        engine.thread.start();
        return engine;
    }

    /** Asks for a completion; the future fails only when the engine itself does. */
    CompletableFuture<Completion> complete(Prompt request) {
        Job job = new Job(request, new CompletableFuture<>());
        queue.add(job);
        Throwable reason = failure;
        if (reason != null) {
            job.answer().completeExceptionally(reason);
        }
        return job.answer();
    }

    // Whatever ends the engine has to end the rows that wait for it.
    @SuppressWarnings("CatchingUnchecked")
    private void run() {
        try (model) {
            while (!closed) {
                take();
                for (Completion completion : serving.step()) {
                    Job job = running.remove(completion.getSourceOffset());
                    Objects.requireNonNull(job, "an answer has a request")
                            .answer()
                            .complete(completion);
                }
            }
            fail(new IllegalStateException("The query has ended."));
        } catch (InterruptedException e) {
            fail(e);
        } catch (Exception | LinkageError | AssertionError e) {
            fail(e);
        }
    }

    /** Gives the engine what it has room for, and waits a moment when it has nothing to do. */
    private void take() throws InterruptedException {
        while (serving.wantsMore()) {
            Job job = serving.isIdle() ? queue.poll(IDLE_MILLIS, TimeUnit.MILLISECONDS) : queue.poll();
            if (job == null) {
                return;
            }
            running.put(next, job);
            serving.submit(job.request(), next++);
        }
    }

    private void fail(Throwable reason) {
        failure = reason;
        running.values().forEach(job -> job.answer().completeExceptionally(reason));
        for (Job job = queue.poll(); job != null; job = queue.poll()) {
            job.answer().completeExceptionally(reason);
        }
    }

    @Override
    public void close() throws InterruptedException {
        closed = true;
        thread.join(TimeUnit.SECONDS.toMillis(30));
    }
}
