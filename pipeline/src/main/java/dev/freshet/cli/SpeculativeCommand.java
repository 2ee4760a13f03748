package dev.freshet.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.kernel.Kernels;
import dev.freshet.model.Decoder;
import dev.freshet.request.ConfigError;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Compares drafting modes on the same prompts, in turns within one run, and checks that they generate the same tokens. */
@Command(
        name = "speculative",
        description = {
            "Compares drafting modes: accepted length, cost of a step, tokens/s, at several batch sizes.",
            "The modes take turns; ratios are of passes side by side. Exit status 1 when any text differs."
        })
final class SpeculativeCommand implements Callable<Integer> {

    private static final int LONGEST_PROMPT = 1024;
    private static final int WARM_PASSES = 8;

    private final Terminal terminal;

    @Mixin
    private BenchOption option = new BenchOption();

    @Option(
            names = "--prompts",
            paramLabel = "FILE",
            description = "JSON lines with a prompt each; may be repeated. Default: two sets of our own.")
    private List<Path> files = new ArrayList<>();

    @Option(
            names = "--max-tokens",
            paramLabel = "N",
            defaultValue = "128",
            description = "Generated tokens of a prompt. Default: 128.")
    private int maxTokens;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            defaultValue = "0",
            description = "0 takes the most probable token. Default: 0.")
    private double temperature;

    @Option(
            names = "--passes",
            paramLabel = "N",
            defaultValue = "5",
            description = "Measured passes of each mode over the prompts, after warm-up. Default: 5.")
    private int passes;

    private boolean same = true;

    SpeculativeCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        if (passes < 1 || maxTokens < 1) {
            throw new ConfigError("Cannot measure: --passes and --max-tokens expected at least 1. Correct them.");
        }
        option.open(this::measure);
        return same ? 0 : Freshet.FAILED;
    }

    private void measure(BenchModel subject) {
        BenchReport report = new BenchReport(terminal);
        List<Integer> batches = option.batches();
        int slots = batches.stream().mapToInt(Integer::intValue).max().orElse(1);
        int context = Math.min(subject.config().contextLength(), LONGEST_PROMPT + maxTokens + 1);
        report.working("Loading " + subject.name());
        try (Kernels kernels = option.model().openKernels();
                Decoder decoder =
                        subject.loadForDrafts(kernels, slots, subject.config().constantState() ? 0 : context)) {
            report.line("kernels   %s", kernels.describe());
            report.model(subject, subject.weightBytes(decoder));
            for (PromptSet set : sets(decoder)) {
                report.done();
                report.line(
                        "%n%-14s %5s %8s %9s %10s %10s %10s %19s",
                        set.name(), "batch", "mode", "accepted", "rows/step", "step cost", "tokens/s", "against off");
                for (int batch : batches) {
                    compare(subject, decoder, set, batch, report);
                }
            }
        }
        report.line(
                "%n%s",
                same
                        ? "Every mode generated the same tokens."
                        : "TEXTS DIFFER between modes: this breaks the promise of the engine. Report it to the project.");
        report.json().put("same_texts", same);
        report.write(option.json());
    }

    private List<PromptSet> sets(Decoder decoder) {
        Path directory = option.directory();
        if (directory == null) {
            return List.of(PromptSet.madeUp(decoder.vocabSize()));
        }
        try (Tokenizer tokenizer = Tokenizer.load(directory)) {
            return files.isEmpty()
                    ? PromptSet.builtIn(tokenizer)
                    : files.stream()
                            .map(file -> PromptSet.read(file, tokenizer))
                            .toList();
        }
    }

    private static List<SpeculationMode> modes(Decoder decoder) {
        List<SpeculationMode> modes = new ArrayList<>(List.of(SpeculationMode.OFF, SpeculationMode.LOOKUP));
        if (decoder.medusaHeads() > 0) {
            modes.add(SpeculationMode.TREE);
        }
        modes.add(SpeculationMode.AUTO);
        return modes;
    }

    private void compare(BenchModel subject, Decoder decoder, PromptSet set, int batch, BenchReport report) {
        int room = decoder.contextLength() == Integer.MAX_VALUE ? LONGEST_PROMPT : decoder.contextLength() - maxTokens;
        if (room < 1) {
            throw new ConfigError("Cannot measure: --max-tokens expected below the context of the model "
                    + decoder.contextLength() + ", got " + maxTokens + ".");
        }
        List<int[]> prompts = set.atLeast(2 * batch, Math.min(room, LONGEST_PROMPT));
        SamplingParams params = SamplingParams.builder()
                .maxTokens(maxTokens)
                .temperature(temperature)
                .build();
        List<Side> sides = new ArrayList<>();
        for (SpeculationMode mode : modes(decoder)) {
            sides.add(new Side(new DraftRun(decoder, subject.endTokens(), mode, batch, prompts, params), passes));
        }
        String what = set.name() + " with " + batch + " in flight";
        int[][] expected = sides.get(0).run.pass().texts();
        List<Double> plainRates = new ArrayList<>();
        while (plainRates.size() < WARM_PASSES && !Meter.agree(plainRates)) {
            report.working("Warming up " + what + ", pass " + (plainRates.size() + 1));
            turn(sides, expected, -1);
            plainRates.add(sides.get(0).last);
        }
        for (int turn = 0; turn < passes; turn++) {
            report.working("Measuring " + what + ", pass " + (turn + 1) + " of " + passes);
            turn(sides, expected, turn);
        }
        report.done();
        Side plain = sides.get(0);
        for (Side side : sides) {
            same &= side.same;
            row(set, batch, side, plain, report);
        }
    }

    /** One pass of every mode, close together in time. */
    private static void turn(List<Side> sides, int[][] expected, int keep) {
        for (Side side : sides) {
            DraftRun.Pass pass = side.run.pass();
            side.same &= Arrays.deepEquals(expected, pass.texts());
            side.last = pass.tokensPerSecond();
            if (keep >= 0) {
                side.passes[keep] = pass;
            }
        }
    }

    /** One mode with what was measured of it. */
    private static final class Side {
        private final DraftRun run;
        private final DraftRun.Pass[] passes;
        private boolean same = true;
        private double last;

        Side(DraftRun run, int passes) {
            this.run = run;
            this.passes = new DraftRun.Pass[passes];
        }
    }

    private void row(PromptSet set, int batch, Side side, Side plain, BenchReport report) {
        int n = side.passes.length;
        double[] rate = new double[n];
        double[] ratio = new double[n];
        double[] cost = new double[n];
        double accepted = 0;
        double rows = 0;
        for (int i = 0; i < n; i++) {
            DraftRun.Pass pass = Objects.requireNonNull(side.passes[i]);
            rate[i] = pass.tokensPerSecond();
            ratio[i] = rate[i] / plain.passes[i].tokensPerSecond();
            cost[i] = pass.stepNanos() / plain.passes[i].stepNanos();
            accepted += pass.acceptedLength() / n;
            rows += pass.rows() / n;
        }
        Arrays.sort(rate);
        Arrays.sort(ratio);
        Arrays.sort(cost);
        String mode = side.run.mode().name().toLowerCase(Locale.ROOT);
        report.line(
                "%-14s %5d %8s %9.2f %10.1f %10.2f %10.1f %6.2f (%4.2f - %4.2f)%s",
                "",
                batch,
                mode,
                accepted,
                rows,
                Meter.median(cost),
                Meter.median(rate),
                Meter.median(ratio),
                ratio[0],
                ratio[n - 1],
                side.same ? "" : "  TEXTS DIFFER");
        ObjectNode node = report.array("speculative").addObject();
        node.put("prompts", set.name());
        node.put("batch", batch);
        node.put("mode", mode);
        node.put("accepted_length", accepted);
        node.put("rows_per_step", rows);
        node.put("step_cost", Meter.median(cost));
        node.put("tokens_per_s", Meter.median(rate));
        node.put("ratio", Meter.median(ratio));
        node.put("ratio_low", ratio[0]);
        node.put("ratio_high", ratio[n - 1]);
        node.put("same_texts", side.same);
    }
}
