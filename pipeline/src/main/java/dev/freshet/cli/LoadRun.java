package dev.freshet.cli;

import dev.freshet.job.InputLag;
import dev.freshet.job.PromptFeed;
import dev.freshet.job.TopicTail;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One load test: a thread sends, the calling thread reads. To be run once. */
final class LoadRun {

    private static final Logger LOG = LoggerFactory.getLogger(LoadRun.class);
    private static final Duration POLL = Duration.ofMillis(50);
    private static final double SECOND = 1e9;

    private final Terminal terminal;
    private final Traffic traffic;
    private final String prefix;
    private final double warmUp;
    private final boolean stream;
    private final long patienceNanos;
    private final AtomicInteger unwritten = new AtomicInteger();
    private final LoadTimeline timeline = new LoadTimeline();

    /**
     * Creates a run.
     *
     * @param prefix of its requests' ids
     * @param warmUp seconds of requests that are not measured
     * @param stream whether chunks are asked for
     * @param patience seconds without an answer after which the rest is missing
     */
    LoadRun(Terminal terminal, Traffic traffic, String prefix, double warmUp, boolean stream, int patience) {
        this.terminal = terminal;
        this.traffic = traffic;
        this.prefix = prefix;
        this.warmUp = warmUp;
        this.stream = stream;
        this.patienceNanos = TimeUnit.SECONDS.toNanos(patience);
    }

    /** Time since the start of a run. */
    private record SystemPace(long startNanos) implements LoadSender.Pace {

        @Override
        public long nanos() {
            return System.nanoTime() - startNanos;
        }

        @Override
        public void await(long nanos) throws InterruptedException {
            for (long left = nanos - nanos(); left > 0; left = nanos - nanos()) {
                LockSupport.parkNanos(this, left);
                if (Thread.interrupted()) {
                    throw new InterruptedException("interrupted between two requests");
                }
            }
        }
    }

    /** Sends everything and waits for the answers; after an interrupt it reports what there is. */
    LoadReport run(LoadSender.Maker maker, PromptFeed feed, TopicTail tail, InputLag lag, long seed)
            throws ExecutionException {
        LoadSender.Pace pace = new SystemPace(System.nanoTime());
        LoadTally tally = new LoadTally(traffic, prefix, stream, System.currentTimeMillis(), warmUp);
        LoadSender sender = new LoadSender(traffic, pace, maker, (number, record) -> send(feed, number, record));
        CompletableFuture<Void> sending = new CompletableFuture<>();
        Thread thread = new Thread(() -> finish(sender, feed, sending), "load-sender");
        thread.setDaemon(true);
        thread.start();
        try {
            follow(sender, sending, tail, tally, lag, pace);
            sending.get();
        } catch (InterruptedException e) {
            thread.interrupt();
            terminal.note("Interrupted: what follows is the report of what was answered so far.");
        }
        return new LoadReport(
                traffic,
                prefix.substring(0, prefix.length() - 1),
                seed,
                sender.sent(),
                unwritten.get(),
                sender.lateness().copy(),
                tally,
                timeline);
    }

    private static void finish(LoadSender sender, PromptFeed feed, CompletableFuture<Void> sending) {
        try {
            sender.run();
            feed.flush();
            sending.complete(null);
        } catch (InterruptedException | RuntimeException e) {
            sending.completeExceptionally(e);
        }
    }

    private void send(PromptFeed feed, int number, byte[] record) {
        feed.begin(prefix + number, record, failure -> {
            if (failure != null && unwritten.getAndIncrement() == 0) {
                LOG.warn("The broker did not take a request", failure);
            }
        });
    }

    private void follow(
            LoadSender sender,
            CompletableFuture<Void> sending,
            TopicTail tail,
            LoadTally tally,
            InputLag lag,
            LoadSender.Pace pace)
            throws InterruptedException {
        long lastAnswer = 0;
        double shown = 0;
        while (true) {
            boolean sentAll = sending.isDone();
            int before = tally.answered();
            for (TopicTail.Item item : tail.poll(POLL)) {
                tally.take(item, System.currentTimeMillis());
            }
            long now = pace.nanos();
            if (tally.answered() > before || !sentAll) {
                lastAnswer = now;
            }
            boolean end = sentAll
                    && (tally.answered() >= sender.sent() - unwritten.get() || now - lastAnswer > patienceNanos);
            if (now / SECOND - shown >= 1 || end) {
                shown = now / SECOND;
                look(new LoadTimeline.Row(
                        shown, sender.sent(), tally.answered(), lag.latest(), tally.running(), tally.waiting()));
            }
            if (end) {
                return;
            }
        }
    }

    private void look(LoadTimeline.Row row) {
        timeline.add(row);
        if (terminal.errIsTerminal()) {
            terminal.status(String.format(
                    Locale.ROOT,
                    "%.0f of %.0f s: %,d sent, %,d answered, %,d open; job: %,d running, %,d waiting, lag %s",
                    row.seconds(),
                    traffic.seconds(),
                    row.sent(),
                    row.answered(),
                    row.open(),
                    row.running(),
                    row.waiting(),
                    row.lag() == InputLag.UNKNOWN ? "unknown" : String.valueOf(row.lag())));
        }
    }
}
