package dev.freshet.job;

import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The figures of a run of faults as a table for docs/results/faults.md. */
final class ChaosReport {

    private ChaosReport() {}

    /** Returns a quantile, nearest rank. */
    static long quantile(List<Long> values, double quantile) {
        List<Long> sorted = values.stream().sorted().toList();
        int rank = (int) Math.ceil(quantile * sorted.size());
        return sorted.isEmpty() ? 0 : sorted.get(Math.max(0, rank - 1));
    }

    private static String line(String what, Object value) {
        return "| " + what + " | " + value + " |\n";
    }

    /** Returns the table of a run. */
    static String of(long seed, ChaosRun.Result result) {
        Verification v = result.verification();
        List<ChaosRun.Event> events = result.events();
        StringBuilder out = new StringBuilder("\n| what | result |\n|---|---|\n");
        out.append(line("seed", seed));
        out.append(line("inputs", v.inputs()));
        out.append(line(
                "completions, errors, dead letters, repetitions",
                v.completions() + ", " + v.errors() + ", " + v.deadLetters() + ", " + v.duplicates()));
        out.append(line("completions that were resumed in the middle", v.resumed()));
        out.append(line("**lost**", "**" + v.missing().count() + "**"));
        out.append(line("**twice**", "**" + v.twice().count() + "**"));
        out.append(line("**different from the undisturbed text**", "**" + result.different() + "**"));
        out.append(line("corrupt or unknown", v.corrupt().count() + v.unknown().count()));
        out.append(
                line("leaks into logs, metrics or REST answers", result.leaks().size()));
        out.append(line(
                "recovery, all faults, p50 and p95",
                seconds(events.stream().map(ChaosRun.Event::recoveryMillis).toList())));
        work(events, result.work(), out);
        out.append(
                "\n| fault | times | recovery p50, p95, s | sequences in flight, least and most |\n|---|---|---|---|\n");
        Map<ChaosRun.Fault, List<ChaosRun.Event>> byFault = new EnumMap<>(ChaosRun.Fault.class);
        for (ChaosRun.Event event : events) {
            byFault.computeIfAbsent(event.fault(), f -> new java.util.ArrayList<>())
                    .add(event);
        }
        byFault.forEach((fault, same) -> out.append("| ")
                .append(fault.name().toLowerCase(Locale.ROOT).replace('_', ' '))
                .append(" | ")
                .append(same.size())
                .append(" | ")
                .append(seconds(
                        same.stream().map(ChaosRun.Event::recoveryMillis).toList()))
                .append(" | ")
                .append(same.stream()
                        .mapToInt(e -> e.inFlight().sequences())
                        .min()
                        .orElse(0))
                .append(", ")
                .append(same.stream()
                        .mapToInt(e -> e.inFlight().sequences())
                        .max()
                        .orElse(0))
                .append(" |\n"));
        return out.toString();
    }

    /** What was run again, beside what a server must run again that keeps nothing of a text in the making. */
    private static void work(List<ChaosRun.Event> events, ChaosWork work, StringBuilder out) {
        List<ChaosRun.Event> kills =
                events.stream().filter(e -> e.fault().kills()).toList();
        long again = work.tokens() - work.needed();
        long scratch = kills.stream().mapToLong(e -> e.inFlight().tokens()).sum();
        out.append(line("lives of tasks", work.runs()));
        out.append(line("tokens needed, run", "%,d, %,d".formatted(work.needed(), work.tokens())));
        out.append(line("committed tokens run again", work.recomputed()));
        if (!kills.isEmpty()) {
            long each = again / kills.size();
            out.append(line("faults that kill tasks", kills.size()));
            out.append(line("tokens run again for each of them", "%,d".formatted(each)));
            out.append(line(
                    "begun again from the prompt it would be at least, for each",
                    "%,d".formatted(each + scratch / kills.size())));
        }
    }

    private static String seconds(List<Long> millis) {
        return "%.1f, %.1f".formatted(quantile(millis, 0.5) / 1e3, quantile(millis, 0.95) / 1e3);
    }
}
