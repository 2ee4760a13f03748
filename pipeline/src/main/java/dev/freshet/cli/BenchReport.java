package dev.freshet.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Results of a benchmark as lines for people and as one JSON object for programs, written side by side. */
final class BenchReport {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final double GIGA = 1e9;
    private static final double MEBI = 1 << 20;

    private final Terminal terminal;
    private final ObjectNode json = MAPPER.createObjectNode();

    BenchReport(Terminal terminal) {
        this.terminal = terminal;
    }

    /** The JSON object. */
    ObjectNode json() {
        return json;
    }

    /** An array of the JSON object, made on first use. */
    ArrayNode array(String name) {
        return json.withArray(name);
    }

    /** Prints a line. */
    void line(String format, Object... values) {
        terminal.out().println(String.format(Locale.ROOT, format, values).stripTrailing());
    }

    /** Shows what is being measured, where a person watches. */
    void working(String what) {
        if (terminal.errIsTerminal()) {
            terminal.status(what);
        }
    }

    /** Takes the last {@link #working} back. */
    void done() {
        terminal.clearStatus();
    }

    /** What runs and what the machine can do. */
    void machine(String kernels, MachineLimits limits) {
        double read = limits.readAll() / GIGA;
        double flops = limits.flopsAll() / GIGA;
        line("kernels   %s", kernels);
        line(
                "limits    read %.1f GB/s, multiply-add %.1f GFLOP/s with %d threads; %.1f and %.1f with 1",
                read, flops, limits.threads(), limits.readOne() / GIGA, limits.flopsOne() / GIGA);
        ObjectNode node = json.putObject("machine");
        node.put("java", System.getProperty("java.vm.version"));
        node.put("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        node.put("kernels", kernels);
        node.put("threads", limits.threads());
        node.put("read_gb_per_s", read);
        node.put("read_gb_per_s_1_thread", limits.readOne() / GIGA);
        node.put("gflop_per_s", flops);
        node.put("gflop_per_s_1_thread", limits.flopsOne() / GIGA);
    }

    /** The model under test. */
    void model(BenchModel model, long weightBytes) {
        long state = model.stateBytes(1024);
        boolean constant = model.config().constantState();
        line(
                "model     %s: %s; weights %s, %.1f MiB read a step; state %.2f MiB a sequence%s",
                model.name(),
                model.attention(),
                model.formatName(),
                weightBytes / MEBI,
                state / MEBI,
                constant ? "" : " at 1,024 tokens");
        ObjectNode node = json.putObject("model");
        node.put("name", model.name());
        node.put("attention", model.attention());
        node.put("weights", model.formatName());
        node.put("weight_bytes", weightBytes);
        node.put("state_bytes", state);
        node.put("constant_state", constant);
    }

    /** Column titles of {@link #rate}. */
    void head() {
        line(
                "%n%-9s %5s %7s %10s %19s %9s %7s %8s %9s",
                "", "batch", "tokens", "tokens/s", "slowest - fastest", "ms/step", "GB/s", "GFLOP/s", "of limit");
    }

    /**
     * One measured row.
     *
     * @param phase decode or prefill
     * @param batch sequences
     * @param tokens depth, or length of the prompt
     * @param rate tokens a second
     * @param cost least work of the tokens of one step
     */
    void rate(String phase, int batch, int tokens, Meter.Rate rate, Cost cost, MachineLimits limits) {
        double steps = rate.median() / cost.tokens;
        double read = steps * cost.passes * cost.passBytes;
        double flops = steps * cost.flops;
        double byMemory = read / limits.readFor(cost.passBytes);
        double byFlops = flops / limits.flopsAll();
        String bound = byMemory > byFlops ? "read" : "fma";
        done();
        line(
                "%-9s %5d %,7d %10.1f %8.1f - %8.1f %9.3f %7.1f %8.1f %5.0f %% %s%s",
                phase,
                batch,
                tokens,
                rate.median(),
                rate.low(),
                rate.high(),
                1e3 / steps,
                read / GIGA,
                flops / GIGA,
                100 * Math.max(byMemory, byFlops),
                bound,
                rate.settled() ? "" : "  not settled");
        ObjectNode node = array(phase).addObject();
        node.put("batch", batch);
        node.put("tokens", tokens);
        node.put("tokens_per_s", rate.median());
        node.put("low", rate.low());
        node.put("high", rate.high());
        node.put("settled", rate.settled());
        node.put("step_ms", 1e3 / steps);
        node.put("gb_per_s", read / GIGA);
        node.put("gflop_per_s", flops / GIGA);
        node.put("share_of_limit", Math.max(byMemory, byFlops));
        node.put("bound", bound);
    }

    /** Ratios of measurements in turns: their median and range; returns the JSON object for more. */
    ObjectNode ratio(String name, String what, double[] ratios) {
        double[] sorted = ratios.clone();
        Arrays.sort(sorted);
        double low = sorted[0];
        double high = sorted[sorted.length - 1];
        done();
        line("%n%-9s %s: %.3f (%.3f - %.3f, %d pairs)", name, what, Meter.median(sorted), low, high, sorted.length);
        return json.putObject(name)
                .put("ratio", Meter.median(sorted))
                .put("low", low)
                .put("high", high);
    }

    /**
     * Least work of one step.
     *
     * @param tokens tokens it brings
     * @param passes how often the model is run for it
     * @param passBytes bytes to be read in each pass
     * @param flops floating-point operations
     */
    record Cost(double tokens, int passes, long passBytes, double flops) {}

    /** Writes the JSON object to a file, if one is wanted. */
    void write(@Nullable Path file) {
        if (file == null) {
            return;
        }
        try {
            Files.writeString(file, MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot write the results: expected a writable file (" + file + "). Check --json.", e);
        }
    }
}
