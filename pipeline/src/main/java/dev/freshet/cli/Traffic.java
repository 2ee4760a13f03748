package dev.freshet.cli;

import dev.freshet.request.ConfigError;
import dev.freshet.sampling.CounterRng;
import java.util.ArrayList;
import java.util.List;

/**
 * When requests arrive and how long they are, whatever the system under test does: an open loop. Immutable.
 *
 * @param name where it comes from, for people
 * @param arrivals in order of time
 * @param seconds how long requests arrive
 */
record Traffic(String name, List<Arrival> arrivals, double seconds) {

    private static final int MOST = 10_000_000;
    private static final double NANOS = 1e9;

    Traffic {
        arrivals = List.copyOf(arrivals);
    }

    /**
     * One request.
     *
     * @param nanos when it arrives after the start
     * @param promptTokens tokens of its prompt, at least 1
     * @param completionTokens tokens to generate, at least 1
     */
    record Arrival(long nanos, int promptTokens, int completionTokens) {}

    /**
     * What changes a trace on its way.
     *
     * @param speed how many times faster than recorded
     * @param promptScale factor of the tokens of prompts
     * @param completionScale factor of the tokens to generate
     * @param seconds when to end at the latest, after the change of speed
     */
    record Change(double speed, double promptScale, double completionScale, double seconds) {}

    /** Traffic as a trace recorded it, from its beginning. */
    static Traffic ofTrace(String name, List<TraceFile.Entry> trace, Change change) {
        List<Arrival> arrivals = new ArrayList<>();
        for (TraceFile.Entry entry : trace) {
            double seconds = entry.seconds() / change.speed();
            if (seconds >= change.seconds()) {
                break;
            }
            arrivals.add(new Arrival(
                    (long) (seconds * NANOS),
                    scaled(entry.promptTokens(), change.promptScale()),
                    scaled(entry.completionTokens(), change.completionScale())));
        }
        double last = trace.get(trace.size() - 1).seconds() / change.speed();
        return new Traffic(name, arrivals, Math.min(change.seconds(), last));
    }

    private static int scaled(int tokens, double factor) {
        return (int) Math.max(1, Math.min(Integer.MAX_VALUE, Math.round(tokens * factor)));
    }

    /**
     * Traffic of a mean rate and one length.
     *
     * @param each length of every request; its time is not read
     * @param rate requests a second
     * @param seconds how long
     * @param poisson whether requests come independently of each other, as those of many clients do, and not evenly
     * @param seed decides when they come
     */
    static Traffic ofRate(Arrival each, double rate, double seconds, boolean poisson, long seed) {
        if (rate * seconds > MOST) {
            throw new ConfigError("Cannot make traffic: expected at most " + MOST + " requests, got "
                    + Math.round(rate * seconds) + ". Lower --rate or --duration.");
        }
        List<Arrival> arrivals = new ArrayList<>();
        double at = poisson ? gap(rate, seed, 0) : 0;
        while (at < seconds) {
            arrivals.add(new Arrival((long) (at * NANOS), each.promptTokens(), each.completionTokens()));
            at = poisson ? at + gap(rate, seed, arrivals.size()) : arrivals.size() / rate;
        }
        String name = rate + " requests/s, " + (poisson ? "poisson" : "even");
        return new Traffic(name, arrivals, seconds);
    }

    /** Gaps of independent arrivals are exponential. */
    private static double gap(double rate, long seed, int number) {
        return -Math.log(1 - CounterRng.uniform(seed, number)) / rate;
    }
}
