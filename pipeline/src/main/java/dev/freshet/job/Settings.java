package dev.freshet.job;

import dev.freshet.request.ConfigError;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.util.TimeUtils;
import org.jspecify.annotations.Nullable;

/** Typed reading of dotted keys that remembers what was asked for, so that a misspelt key is an error and not silence. */
final class Settings {

    private final Map<String, String> values;
    private final Set<String> known = new TreeSet<>();
    private final Set<String> read = new HashSet<>();

    Settings(Map<String, String> values) {
        this.values = new TreeMap<>(values);
    }

    @Nullable
    String text(String key) {
        known.add(key);
        read.add(key);
        String value = values.get(key);
        return value == null || value.isEmpty() ? null : value;
    }

    String text(String key, String standard) {
        String value = text(key);
        return value == null ? standard : value;
    }

    String required(String key, String cure) {
        String value = text(key);
        if (value == null) {
            throw new ConfigError("Cannot start the job: expected a value for " + key + ", got none. " + cure);
        }
        return value;
    }

    int whole(String key, int standard, int least, int most) {
        String value = text(key);
        if (value == null) {
            return standard;
        }
        try {
            int number = Integer.parseInt(value);
            if (number >= least && number <= most) {
                return number;
            }
        } catch (NumberFormatException e) {
            throw wrong(key, "a whole number from " + least + " to " + most, value, e);
        }
        throw wrong(key, "a whole number from " + least + " to " + most, value, null);
    }

    boolean flag(String key, boolean standard) {
        String value = text(key);
        if (value == null) {
            return standard;
        }
        return switch (value.toLowerCase(Locale.ROOT)) {
            case "true", "yes", "on" -> true;
            case "false", "no", "off" -> false;
            default -> throw wrong(key, "true or false", value, null);
        };
    }

    Duration duration(String key, Duration standard, Duration least) {
        String value = text(key);
        if (value == null) {
            return standard;
        }
        try {
            Duration duration = TimeUtils.parseDuration(value);
            if (duration.compareTo(least) >= 0) {
                return duration;
            }
        } catch (IllegalArgumentException e) {
            throw wrong(key, "a duration such as 10 s or 15 min", value, e);
        }
        throw wrong(key, "a duration of at least " + TimeUtils.formatWithHighestUnit(least), value, null);
    }

    int bytes(String key, int standard, int most) {
        return (int) size(key, standard, most);
    }

    /** Returns a number of bytes, from 1. */
    long size(String key, long standard, long most) {
        String value = text(key);
        if (value == null) {
            return standard;
        }
        try {
            long bytes = MemorySize.parse(value).getBytes();
            if (bytes >= 1 && bytes <= most) {
                return bytes;
            }
        } catch (IllegalArgumentException e) {
            throw wrong(key, "a size such as 256 kb or 1 mb", value, e);
        }
        throw wrong(key, "a size from 1 to " + most + " bytes", value, null);
    }

    <E extends Enum<E>> E choice(String key, E standard, Class<E> type) {
        String value = text(key);
        if (value == null) {
            return standard;
        }
        List<String> names = new ArrayList<>();
        for (E constant : type.getEnumConstants()) {
            String name = constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
            if (name.equals(value.toLowerCase(Locale.ROOT))) {
                return constant;
            }
            names.add(name);
        }
        throw wrong(key, "one of " + String.join(", ", names), value, null);
    }

    List<String> list(String key) {
        String value = text(key);
        if (value == null) {
            return List.of();
        }
        List<String> items = new ArrayList<>();
        for (String item : value.split(",")) {
            if (!item.isBlank()) {
                items.add(item.strip());
            }
        }
        return List.copyOf(items);
    }

    /** Returns the keys under a prefix, which is cut off, as they are. */
    Map<String, String> under(String prefix) {
        known.add(prefix + "*");
        Map<String, String> found = new TreeMap<>();
        for (Map.Entry<String, String> entry : values.entrySet()) {
            if (entry.getKey().startsWith(prefix)) {
                read.add(entry.getKey());
                found.put(entry.getKey().substring(prefix.length()), entry.getValue());
            }
        }
        return found;
    }

    /** Refuses keys that nobody asked for. */
    void refuseUnknown() {
        for (String key : values.keySet()) {
            if (!read.contains(key)) {
                throw new ConfigError("Cannot start the job: expected one of the known keys, got " + key + ". "
                        + "Did you mean " + nearest(key) + "?");
            }
        }
    }

    private String nearest(String key) {
        String best = "";
        int least = Integer.MAX_VALUE;
        for (String candidate : known) {
            int distance = distance(key, candidate);
            if (distance < least) {
                least = distance;
                best = candidate;
            }
        }
        return best;
    }

    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int above = row[j];
                int change = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                row[j] = Math.min(change, 1 + Math.min(above, row[j - 1]));
                diagonal = above;
            }
        }
        return row[b.length()];
    }

    private static ConfigError wrong(String key, String expected, String got, @Nullable Throwable cause) {
        String message =
                "Cannot start the job: expected " + expected + " for " + key + ", got " + got + ". Correct the value.";
        return cause == null ? new ConfigError(message) : new ConfigError(message, cause);
    }
}
