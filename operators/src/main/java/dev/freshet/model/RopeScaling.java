package dev.freshet.model;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.request.ConfigError;
import org.jspecify.annotations.Nullable;

/** Reads rope_theta and rope_scaling of a Llama config.json: default, linear, llama3 and yarn. */
final class RopeScaling {

    private RopeScaling() {}

    static RopeConfig read(ConfigReader config, int headDim, int maxPositions) {
        JsonNode parameters = config.node("rope_parameters");
        JsonNode scaling = config.node("rope_scaling");
        JsonNode rule = scaling != null ? scaling : parameters;
        double theta = parameters != null && parameters.has("rope_theta")
                ? parameters.get("rope_theta").asDouble()
                : config.number("rope_theta", 10000.0);
        double[] base = new double[headDim / 2];
        for (int c = 0; c < base.length; c++) {
            base[c] = StrictMath.pow(theta, -2.0 * c / headDim);
        }
        String type = type(rule);
        return switch (type) {
            case "default" -> new RopeConfig(base, 1);
            case "linear" -> new RopeConfig(divided(base, field(rule, "factor")), 1);
            case "llama3" -> new RopeConfig(llama3(base, rule), 1);
            case "yarn" -> yarn(base, rule, theta, headDim, maxPositions);
            default ->
                throw new ConfigError("Cannot use rope_scaling: expected default, linear, llama3 or yarn, got " + type
                        + " (" + config.file() + "). Choose a model with one of these.");
        };
    }

    private static String type(@Nullable JsonNode rule) {
        if (rule == null) {
            return "default";
        }
        JsonNode type = rule.has("rope_type") ? rule.get("rope_type") : rule.get("type");
        return type == null ? "default" : type.asText();
    }

    private static double field(@Nullable JsonNode rule, String name) {
        JsonNode value = rule == null ? null : rule.get(name);
        if (value == null || !value.isNumber() || !(value.asDouble() > 0)) {
            throw new ConfigError("Cannot use rope_scaling: expected a positive number " + name + ", got "
                    + (value == null ? "none" : value.toString()) + " (config.json).");
        }
        return value.asDouble();
    }

    private static double optional(@Nullable JsonNode rule, String name, double otherwise) {
        return rule != null && rule.has(name) && !rule.get(name).isNull() ? field(rule, name) : otherwise;
    }

    private static double[] divided(double[] base, double factor) {
        double[] out = base.clone();
        for (int c = 0; c < out.length; c++) {
            out[c] /= factor;
        }
        return out;
    }

    /** Llama 3.1: long wavelengths are stretched by factor, short ones kept, those between blended. */
    private static double[] llama3(double[] base, @Nullable JsonNode rule) {
        double factor = field(rule, "factor");
        double low = field(rule, "low_freq_factor");
        double high = field(rule, "high_freq_factor");
        double original = field(rule, "original_max_position_embeddings");
        double[] out = new double[base.length];
        for (int c = 0; c < out.length; c++) {
            double turns = original * base[c] / (2 * Math.PI);
            double blend = Math.min(1, Math.max(0, (turns - low) / (high - low)));
            out[c] = (1 - blend) * base[c] / factor + blend * base[c];
        }
        return out;
    }

    /** YaRN (Peng et al. 2023): a ramp over channels between interpolation and extrapolation, and a factor on the magnitude. */
    private static RopeConfig yarn(
            double[] base, @Nullable JsonNode rule, double theta, int headDim, int maxPositions) {
        double factor = field(rule, "factor");
        double original = optional(rule, "original_max_position_embeddings", maxPositions);
        double fast = optional(rule, "beta_fast", 32);
        double slow = optional(rule, "beta_slow", 1);
        double low = Math.max(0, Math.floor(channel(fast, headDim, theta, original)));
        double high = Math.min(headDim - 1, Math.ceil(channel(slow, headDim, theta, original)));
        double span = Math.max(high - low, 0.001);
        double[] out = new double[base.length];
        for (int c = 0; c < out.length; c++) {
            double interpolate = Math.min(1, Math.max(0, (c - low) / span));
            out[c] = interpolate * base[c] / factor + (1 - interpolate) * base[c];
        }
        double magnitude = optional(rule, "attention_factor", factor <= 1 ? 1 : 0.1 * StrictMath.log(factor) + 1);
        return new RopeConfig(out, magnitude);
    }

    private static double channel(double turns, int headDim, double theta, double original) {
        return headDim * StrictMath.log(original / (turns * 2 * Math.PI)) / (2 * StrictMath.log(theta));
    }
}
