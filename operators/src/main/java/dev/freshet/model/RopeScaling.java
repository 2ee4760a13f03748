package dev.freshet.model;

import org.jspecify.annotations.Nullable;

/**
 * Reads the rotary embedding of a Llama config.json: default, linear, llama3 and yarn, docs/maths.md §3.1. Both spellings are read:
 * rope_theta with rope_scaling, and rope_parameters; where both stand, rope_scaling wins, as in the transformers library.
 */
final class RopeScaling {

    private RopeScaling() {}

    static RopeConfig read(Fields config, int headDim, int maxPositions) {
        Fields rule = rule(config);
        double theta = rule != null && rule.has("rope_theta")
                ? rule.positive("rope_theta")
                : config.positiveOr("rope_theta", 10000.0);
        wholeRotation(config);
        double[] base = new double[headDim / 2];
        for (int c = 0; c < base.length; c++) {
            base[c] = StrictMath.pow(theta, -2.0 * c / headDim);
        }
        if (rule == null) {
            return new RopeConfig(base, 1);
        }
        wholeRotation(rule);
        // Where the trained length stands beside the rule, the library lets it win over the one inside.
        double original = config.positiveOr(
                "original_max_position_embeddings", rule.positiveOr("original_max_position_embeddings", maxPositions));
        String name = rule.has("rope_type") ? "rope_type" : "type";
        String type = rule.textOr(name, "default");
        return switch (type) {
            case "default" -> new RopeConfig(base, 1);
            case "linear" -> new RopeConfig(divided(base, rule.positive("factor")), 1);
            case "llama3" -> new RopeConfig(llama3(base, rule, original), 1);
            case "yarn" -> yarn(base, rule, theta, headDim, original);
            default -> throw rule.wrong(name, "default, linear, llama3 or yarn", type);
        };
    }

    private static @Nullable Fields rule(Fields config) {
        Fields scaling = config.object("rope_scaling");
        return scaling != null && !scaling.isEmpty() ? scaling : config.object("rope_parameters");
    }

    private static void wholeRotation(Fields fields) {
        double share = fields.positiveOr("partial_rotary_factor", 1);
        if (share != 1) {
            throw fields.wrong("partial_rotary_factor", "1", share);
        }
    }

    private static double[] divided(double[] base, double factor) {
        double[] out = base.clone();
        for (int c = 0; c < out.length; c++) {
            out[c] /= factor;
        }
        return out;
    }

    /** Llama 3.1: long wavelengths are stretched by factor, short ones kept, those between blended. */
    private static double[] llama3(double[] base, Fields rule, double original) {
        double factor = rule.positive("factor");
        double low = rule.positive("low_freq_factor");
        double high = rule.positive("high_freq_factor");
        if (high <= low) {
            throw rule.wrong("high_freq_factor", "a number above low_freq_factor " + low, high);
        }
        double[] out = new double[base.length];
        for (int c = 0; c < out.length; c++) {
            double turns = original * base[c] / (2 * Math.PI);
            double blend = Math.min(1, Math.max(0, (turns - low) / (high - low)));
            out[c] = (1 - blend) * base[c] / factor + blend * base[c];
        }
        return out;
    }

    /** YaRN (Peng et al. 2023): a ramp over channels between interpolation and extrapolation, and a factor on the magnitude. */
    private static RopeConfig yarn(double[] base, Fields rule, double theta, int headDim, double original) {
        double factor = rule.positive("factor");
        double fast = rule.positiveOr("beta_fast", 32);
        double slow = rule.positiveOr("beta_slow", 1);
        if (theta == 1) {
            throw rule.wrong("rope_theta", "a number other than 1 for yarn", theta);
        }
        double low = channel(fast, headDim, theta, original);
        double high = channel(slow, headDim, theta, original);
        if (rule.flagOr("truncate", true)) {
            low = Math.floor(low);
            high = Math.ceil(high);
        }
        low = Math.max(low, 0);
        high = Math.min(high, headDim - 1.0);
        double span = high == low ? 0.001 : high - low;
        double[] out = new double[base.length];
        for (int c = 0; c < out.length; c++) {
            double interpolate = Math.min(1, Math.max(0, (c - low) / span));
            out[c] = interpolate * base[c] / factor + (1 - interpolate) * base[c];
        }
        return new RopeConfig(out, magnitude(rule, factor));
    }

    private static double magnitude(Fields rule, double factor) {
        double mscale = rule.numberOr("mscale", 0);
        double all = rule.numberOr("mscale_all_dim", 0);
        double derived = mscale > 0 && all > 0 ? grown(factor, mscale) / grown(factor, all) : grown(factor, 1);
        return rule.positiveOr("attention_factor", derived);
    }

    private static double grown(double factor, double mscale) {
        return factor <= 1 ? 1 : 0.1 * mscale * StrictMath.log(factor) + 1;
    }

    /** The channel, a fraction, whose wave makes so many turns over the trained length. */
    private static double channel(double turns, int headDim, double theta, double original) {
        return headDim * StrictMath.log(original / (turns * 2 * Math.PI)) / (2 * StrictMath.log(theta));
    }
}
