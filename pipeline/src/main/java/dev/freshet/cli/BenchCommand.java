package dev.freshet.cli;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.model.Decoder;
import dev.freshet.request.ConfigError;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Measures a whole model against the limits of the machine, both in the same run. */
@Command(
        name = "bench",
        description = {
            "Measures tokens/s of a whole model against batch size and depth, beside what the machine can do.",
            "Percentages compare the least work of a step with the limits measured in the same run."
        })
final class BenchCommand implements Callable<Integer> {

    private static final long MILLI = 1_000_000;
    private static final long SECOND = 1_000 * MILLI;
    private static final int NEAR = 100;
    private static final int FAR = 100_000;

    private final Terminal terminal;

    @Mixin
    private BenchOption option = new BenchOption();

    @Option(
            names = "--depth",
            split = ",",
            paramLabel = "N",
            defaultValue = "0",
            description = "Tokens before the decoded ones. Default: 0.")
    private List<Integer> depths = List.of();

    @Option(
            names = "--prompt",
            split = ",",
            paramLabel = "N",
            defaultValue = "512",
            description = "Prompt lengths for the prefill rate; 0 for none. Default: 512.")
    private List<Integer> prompts = List.of();

    @Option(
            names = "--runs",
            paramLabel = "N",
            defaultValue = "5",
            description = "Measured batches after warm-up. Default: 5.")
    private int runs;

    @Option(
            names = "--warm",
            paramLabel = "SECONDS",
            defaultValue = "10",
            description =
                    "Longest warm-up of a row; it ends earlier, after a third at least, when three batches agree within 3 %%."
                            + " Default: 10.")
    private int warmSeconds;

    @Option(
            names = "--whole",
            description = "Reach every depth by running all tokens, not the last ones alone on an empty state.")
    private boolean whole;

    @Option(
            names = "--tree",
            paramLabel = "N",
            defaultValue = "16",
            description =
                    "Nodes of a draft whose verification is compared with a step of one row; 0 for none. Default: 16.")
    private int tree;

    BenchCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        check();
        option.open(this::measure);
        return 0;
    }

    private void check() {
        boolean wrong = depths.stream().anyMatch(d -> d < 0)
                || prompts.stream().anyMatch(p -> p < 0)
                || runs < 1
                || tree < 0
                || tree > DecodeLoop.MOST_NODES
                || warmSeconds < 0;
        if (wrong || depths.isEmpty()) {
            throw new ConfigError(
                    "Cannot measure: expected --runs of at least 1, --depth and --prompt of at least 0, --tree of 0 to "
                            + DecodeLoop.MOST_NODES + ". Correct them.");
        }
        String obstacle = KernelsProvider.vectorObstacle();
        if (!obstacle.isEmpty()) {
            throw new ConfigError("Cannot measure the limits of the machine: " + obstacle);
        }
    }

    private void measure(BenchModel subject) {
        Meter meter = new Meter(System::nanoTime, runs, 150 * MILLI, warmSeconds * SECOND);
        BenchReport report = new BenchReport(terminal);
        report.working("Measuring the machine");
        Meter quick = new Meter(System::nanoTime, 3, 60 * MILLI, Math.min(2, warmSeconds) * SECOND);
        try (MachineLimits limits = new MachineLimits(quick, option.model().threads())) {
            boolean first = true;
            // A cache is as long as the depth needs; a state of fixed size serves every depth.
            List<List<Integer>> loads = new ArrayList<>();
            if (subject.config().constantState()) {
                loads.add(depths);
            } else {
                depths.forEach(depth -> loads.add(List.of(depth)));
            }
            for (List<Integer> together : loads) {
                first = load(subject, together, first, meter, report, limits) && first;
            }
        }
        report.write(option.json());
    }

    /** Loads the model for some depths and measures there; returns whether nothing could be loaded. */
    private boolean load(
            BenchModel subject,
            List<Integer> together,
            boolean first,
            Meter meter,
            BenchReport report,
            MachineLimits limits) {
        int deepest = together.stream().mapToInt(Integer::intValue).max().orElse(0);
        int longest = prompts.stream().mapToInt(Integer::intValue).max().orElse(0);
        int context = Math.max(deepest + DecodeLoop.DRIFT, longest) + 1;
        int slots = fitting(subject, context, report);
        if (deepest + 2 > subject.config().contextLength() || slots == 0) {
            report.line("depth %,d is skipped: beyond the context of the model or the memory of this process", deepest);
            return true;
        }
        report.working("Loading " + subject.name());
        try (Kernels kernels = option.model().openKernels();
                Decoder decoder =
                        subject.load(kernels, slots, tree, subject.config().constantState() ? 0 : context)) {
            if (first) {
                report.machine(kernels.describe(), limits);
                report.model(subject, subject.weightBytes(decoder));
                report.head();
                prefill(subject, decoder, meter, report, limits);
            }
            for (int depth : together) {
                for (int batch : option.batches()) {
                    if (batch <= slots) {
                        decode(subject, decoder, batch, depth, meter, report, limits);
                    }
                }
            }
            if (first && tree > 1) {
                verification(decoder, meter, report);
            }
            if (first && subject.config().constantState() && decoder.contextLength() > 2 * FAR) {
                flatness(decoder, meter, report);
            }
        }
        return false;
    }

    /** The largest batch whose states fit into the memory of this process. */
    private int fitting(BenchModel subject, int context, BenchReport report) {
        long state = subject.stateBytes(Math.min(context, subject.config().contextLength()));
        long room = Runtime.getRuntime().maxMemory() * 3 / 5 / state;
        int slots = 0;
        for (int batch : option.batches()) {
            if (batch <= room) {
                slots = Math.max(slots, batch);
            } else {
                report.line(
                        "batch %d at context %,d is skipped: its states need %,d MiB",
                        batch, context, batch * state >> 20);
            }
        }
        return slots;
    }

    private void prefill(BenchModel subject, Decoder decoder, Meter meter, BenchReport report, MachineLimits limits) {
        DecodeLoop loop = new DecodeLoop(decoder, false, 0, 1);
        for (int length : prompts) {
            if (length < 1 || length >= decoder.contextLength()) {
                continue;
            }
            report.working("Measuring prefill of " + length + " tokens");
            Meter.Rate rate = meter.measure(() -> loop.prompt(length));
            int chunk = Math.min(length, Math.min(decoder.groupSize(), decoder.maxRows()));
            double flops = length * subject.rowFlops(length / 2, false);
            int passes = (length + chunk - 1) / chunk;
            BenchReport.Cost cost = new BenchReport.Cost(length, passes, subject.weightBytes(decoder), flops);
            report.rate("prefill", 1, length, rate, cost, limits);
        }
    }

    private void decode(
            BenchModel subject,
            Decoder decoder,
            int batch,
            int depth,
            Meter meter,
            BenchReport report,
            MachineLimits limits) {
        report.working("Measuring a batch of " + batch + " at depth " + depth);
        boolean caches = decoder.groupSize() == Integer.MAX_VALUE;
        DecodeLoop loop = new DecodeLoop(decoder, caches, 0, batch);
        loop.place(depth, whole);
        Meter.Rate rate = meter.measure(loop::step);
        loop.release();
        double flops = batch * subject.rowFlops(depth, true);
        long bytes = subject.stepBytes(decoder, batch, depth);
        report.rate("decode", batch, depth, rate, new BenchReport.Cost(batch, 1, bytes, flops), limits);
    }

    /** Time of a step that verifies a draft over one of a single row, in turns at one position. */
    private void verification(Decoder decoder, Meter meter, BenchReport report) {
        report.working("Comparing drafts with single rows");
        DecodeLoop loop = new DecodeLoop(decoder, false, 0, 1);
        loop.place(NEAR, false);
        meter.settle(() -> loop.verify(tree));
        meter.settle(() -> loop.verify(1));
        double[] ratio = new double[meter.runs()];
        for (int i = 0; i < ratio.length; i++) {
            double one = meter.batch(() -> loop.verify(1));
            ratio[i] = one / meter.batch(() -> loop.verify(tree));
        }
        loop.release();
        report.ratio("verify", "time of a step with " + tree + " rows of a draft over one row", ratio)
                .put("rows", tree);
    }

    /** Time of a step far into a sequence over one near its start, in turns. */
    private void flatness(Decoder decoder, Meter meter, BenchReport report) {
        report.working("Comparing positions");
        DecodeLoop loop = new DecodeLoop(decoder, false, 0, 1);
        double[] ratio = new double[meter.runs()];
        loop.place(NEAR, false);
        meter.settle(loop::step);
        loop.release();
        for (int i = 0; i < ratio.length; i++) {
            loop.place(NEAR, false);
            double near = meter.batch(loop::step);
            loop.release();
            loop.place(FAR, whole);
            ratio[i] = near / meter.batch(loop::step);
            loop.release();
        }
        report.ratio(
                        "flatness",
                        String.format(Locale.ROOT, "time per token at position %,d over position %d", FAR, NEAR),
                        ratio)
                .put("near", NEAR)
                .put("far", FAR);
    }
}
