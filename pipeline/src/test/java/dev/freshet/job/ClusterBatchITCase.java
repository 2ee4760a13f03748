package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.model.Model;
import dev.freshet.operator.DirectoryModel;
import dev.freshet.operator.ModelLoader;
import dev.freshet.operator.ServedModel;
import dev.freshet.request.ConfigError;
import dev.freshet.request.SpeculationMode;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.apache.flink.util.FileUtils;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A batch as a Flink job, cut off in the middle: its files must hold what a batch in one process writes. */
@Timeout(240)
class ClusterBatchITCase {

    private static final int LINES = 260;
    private static final int EARLY = 40;
    private static final AtomicBoolean ARMED = new AtomicBoolean();

    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");

    private Set<String> expected = Set.of();

    /** Thrown by a watcher: the process goes away, as far as Flink can tell. */
    private static final class Abort extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /** Steps of some milliseconds, of which one fails when the switch is on. */
    private record Slow(DirectoryModel inner, long millis) implements ModelLoader {

        private static final long serialVersionUID = 1L;

        @Override
        public ServedModel load(int slots) {
            ServedModel served = inner.load(slots);
            Model model = served.model();
            Model slow = (Model) Proxy.newProxyInstance(
                    Model.class.getClassLoader(), new Class<?>[] {Model.class}, (proxy, method, arguments) -> {
                        if (method.getName().equals("forward")) {
                            LockSupport.parkNanos(millis * 1_000_000);
                            if (ARMED.compareAndSet(true, false)) {
                                throw new IllegalStateException("injected failure");
                            }
                        }
                        try {
                            return method.invoke(model, arguments);
                        } catch (InvocationTargetException e) {
                            throw e.getCause() == null ? e : e.getCause();
                        }
                    });
            return new ServedModel(
                    slow,
                    served.texts(),
                    served.endTokens(),
                    served.name(),
                    served.fingerprint(),
                    served.backend(),
                    served.release());
        }
    }

    @BeforeEach
    void runInOneProcess() throws IOException {
        ARMED.set(false);
        model = BatchFiles.model(folder);
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < LINES; i++) {
            lines.add(
                    switch (i % 40) {
                        case 17 -> "this is no JSON " + i;
                        case 18 -> BatchFiles.line("id-1", "an id that comes again", 4);
                        case 19 -> "";
                        case 20 -> BatchFiles.line("id-" + i, "too many tokens", 1_000_000);
                        case 21 -> "{\"prompt\":\"without an id\",\"max_tokens\":4}";
                        default -> BatchFiles.line("id-" + i, "some words " + i, 5 + i % 11);
                    });
        }
        BatchFiles.write(folder.resolve("requests.jsonl"), lines);
        BatchJob.Options options = new BatchJob.Options(
                folder.resolve("requests.jsonl"),
                folder.resolve("plain"),
                model(),
                4,
                SpeculationMode.AUTO,
                Set.of(),
                false);
        new BatchJob(options, Clock.systemUTC()).run(sentence -> {}, progress -> {});
        expected = BatchFiles.timeless(folder.resolve("plain"));
    }

    private DirectoryModel model() {
        return new DirectoryModel(model.toString(), "vector", 1, 0, null, "plain");
    }

    private BatchJob.Progress run(int parallelism, List<String> told, int abortAt) throws Exception {
        return run(null, parallelism, told, abortAt);
    }

    private BatchJob.Progress run(@Nullable String address, int parallelism, List<String> told, int abortAt)
            throws Exception {
        ClusterBatch.Options options = new ClusterBatch.Options(
                folder.resolve("requests.jsonl"),
                folder.resolve("out"),
                model(),
                parallelism,
                4,
                SpeculationMode.AUTO,
                Set.of(),
                false,
                Duration.ofMillis(100),
                address,
                null);
        return new ClusterBatch(options, Clock.systemUTC())
                .run(
                        told::add,
                        progress -> {
                            if (progress.completed() >= abortAt) {
                                throw new Abort();
                            }
                        },
                        folder,
                        new Slow(model(), address == null ? 2 : 8));
    }

    private Set<String> written() throws IOException {
        Set<String> all = new TreeSet<>();
        for (String name : List.of(BatchParts.RESULTS, BatchParts.ERRORS)) {
            try (Stream<Path> files = Files.list(folder.resolve("out").resolve(name))) {
                for (Path file : files.toList()) {
                    assertThat(file.getFileName().toString())
                            .startsWith("part-")
                            .endsWith(".jsonl");
                    for (String line : Files.readAllLines(file)) {
                        assertThat(all.add(line.replaceFirst("\"created\":\\d+,", "")))
                                .isTrue();
                        assertThat(line.contains("\"error\":null")).isEqualTo(name.equals(BatchParts.RESULTS));
                    }
                }
            }
        }
        return all;
    }

    @Test
    void aBatchGoesOnFromItsCheckpointAndThroughAFailedTask() throws Exception {
        List<String> told = new ArrayList<>();
        assertThatThrownBy(() -> run(1, told, EARLY)).isInstanceOf(Abort.class);
        ARMED.set(true);
        BatchJob.Progress end = run(1, told, Integer.MAX_VALUE);
        assertThat(ARMED).as("the failure was injected").isFalse();
        assertThat(told.get(1)).contains("goes on from").contains("chk-");
        assertThat(end.earlier()).isGreaterThanOrEqualTo(EARLY);
        assertThat(end.earlier() + end.completed() + end.failed()).isEqualTo(expected.size());
        assertThat(written()).isEqualTo(expected);
        assertThat(folder.resolve("out").resolve(".checkpoints")).doesNotExist();
        assertThatThrownBy(() -> new BatchJob(
                                new BatchJob.Options(
                                        folder.resolve("requests.jsonl"),
                                        folder.resolve("out"),
                                        model(),
                                        4,
                                        SpeculationMode.AUTO,
                                        Set.of(),
                                        false),
                                Clock.systemUTC())
                        .run(sentence -> {}, progress -> {}))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("Cannot resume the batch");
    }

    @Test
    void withoutACheckpointItGoesOnAfterWhatIsCommittedWhateverTheParallelism() throws Exception {
        List<String> told = new ArrayList<>();
        assertThatThrownBy(() -> run(2, told, EARLY)).isInstanceOf(Abort.class);
        FileUtils.deleteDirectory(folder.resolve("out/.checkpoints").toFile());
        BatchJob.Progress end = run(1, told, Integer.MAX_VALUE);
        assertThat(told.get(1)).contains("are answered already");
        assertThat(end.earlier()).isGreaterThanOrEqualTo(EARLY);
        assertThat(written()).isEqualTo(expected);
        // Once more over what is complete: nothing is done again.
        assertThat(run(1, told, Integer.MAX_VALUE).completed()).isZero();
        assertThat(written()).isEqualTo(expected);
    }

    @Test
    void aJobOnAnotherClusterOutlivesTheCommandAndIsFoundAgain() throws Exception {
        List<String> told = new ArrayList<>();
        try (LocalCluster cluster = LocalCluster.start(FlinkSettings.forCluster(0, folder), 1)) {
            String address =
                    cluster.dashboard().getHost() + ":" + cluster.dashboard().getPort();
            assertThatThrownBy(() -> run(address, 1, told, EARLY)).isInstanceOf(Abort.class);
            assertThatThrownBy(() -> run(null, 1, told, Integer.MAX_VALUE))
                    .isInstanceOf(ConfigError.class)
                    .hasMessageContaining("got job");
            BatchJob.Progress end = run(address, 1, told, Integer.MAX_VALUE);
            assertThat(told.get(1)).contains("runs already");
            assertThat(end.earlier() + end.completed() + end.failed()).isEqualTo(expected.size());
        }
        assertThat(written()).isEqualTo(expected);
    }
}
