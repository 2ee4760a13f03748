package dev.freshet.job;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads a configuration file into dotted keys: YAML, where nesting and dots mean the same and a list becomes a comma-separated
 * value, or a properties file. {@code ${env:NAME}} in a value stands for an environment variable, so that secrets need not
 * lie in the file.
 */
public final class ConfigFile {

    private static final long LARGEST = 1 << 20;
    private static final Pattern ENVIRONMENT = Pattern.compile("\\$\\{env:([A-Za-z_][A-Za-z0-9_]*)}");

    private ConfigFile() {}

    /**
     * Reads a file ending in .yaml, .yml or .properties.
     *
     * @param environment where {@code ${env:NAME}} looks names up
     * @throws ConfigError when the file cannot be read or understood
     */
    public static Map<String, String> read(Path file, Map<String, String> environment) {
        String name = String.valueOf(file.getFileName());
        Map<String, String> values = new LinkedHashMap<>();
        if (name.endsWith(".properties")) {
            properties(file, values);
        } else if (name.endsWith(".yaml") || name.endsWith(".yml")) {
            yaml(file, values);
        } else {
            throw new ConfigError(
                    "Cannot read the configuration: expected a file ending in .yaml, .yml or .properties, got " + file
                            + ". Rename the file.");
        }
        values.replaceAll((key, value) -> substitute(file, key, value, environment));
        return values;
    }

    private static String text(Path file) {
        try {
            long size = Files.size(file);
            if (size > LARGEST) {
                throw new ConfigError("Cannot read the configuration: expected at most " + LARGEST + " bytes, got "
                        + size + " (" + file + "). Name the right file.");
            }
            return Files.readString(file);
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot read the configuration: expected a readable UTF-8 file, got "
                            + e.getClass().getSimpleName() + " (" + file + "). Check the path given with --config.",
                    e);
        }
    }

    private static void properties(Path file, Map<String, String> into) {
        Properties properties = new Properties();
        try {
            properties.load(new StringReader(text(file)));
        } catch (IOException | IllegalArgumentException e) {
            throw new ConfigError(
                    "Cannot read the configuration: expected key=value lines, got " + e.getMessage() + " (" + file
                            + "). Correct the file.",
                    e);
        }
        for (String key : new TreeSet<>(properties.stringPropertyNames())) {
            into.put(key, properties.getProperty(key).strip());
        }
    }

    private static void yaml(Path file, Map<String, String> into) {
        JsonNode root;
        try {
            root = new YAMLMapper().readTree(text(file));
        } catch (JsonProcessingException e) {
            throw new ConfigError(
                    "Cannot read the configuration: expected YAML, got " + e.getOriginalMessage() + " (" + file
                            + " line "
                            + (e.getLocation() == null ? "?" : e.getLocation().getLineNr()) + "). Correct the file.",
                    e);
        }
        if (root == null || root.isMissingNode() || root.isNull()) {
            return;
        }
        if (!root.isObject()) {
            throw new ConfigError("Cannot read the configuration: expected keys and values, got a "
                    + root.getNodeType().toString().toLowerCase(java.util.Locale.ROOT) + " (" + file
                    + "). Correct the file.");
        }
        flatten(file, null, root, into);
    }

    private static void flatten(Path file, @Nullable String prefix, JsonNode node, Map<String, String> into) {
        for (Map.Entry<String, JsonNode> field : node.properties()) {
            String key = prefix == null ? field.getKey() : prefix + "." + field.getKey();
            JsonNode value = field.getValue();
            if (value.isObject()) {
                flatten(file, key, value, into);
                continue;
            }
            String text;
            if (value.isArray()) {
                List<String> items = new ArrayList<>();
                value.forEach(item -> items.add(item.asText()));
                text = String.join(",", items);
            } else {
                text = value.isNull() ? "" : value.asText();
            }
            if (into.put(key, text) != null) {
                throw new ConfigError("Cannot read the configuration: expected each key once, got " + key + " twice ("
                        + file + "). Remove one of them.");
            }
        }
    }

    private static String substitute(Path file, String key, String value, Map<String, String> environment) {
        Matcher matcher = ENVIRONMENT.matcher(value);
        StringBuilder text = new StringBuilder();
        while (matcher.find()) {
            String found = environment.get(matcher.group(1));
            if (found == null) {
                throw new ConfigError("Cannot read the configuration: expected the environment variable "
                        + matcher.group(1) + " for " + key + ", got none (" + file + "). Set the variable.");
            }
            matcher.appendReplacement(text, Matcher.quoteReplacement(found));
        }
        return matcher.appendTail(text).toString();
    }
}
