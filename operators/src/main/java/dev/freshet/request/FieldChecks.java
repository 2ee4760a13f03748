package dev.freshet.request;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Checks the fields of one request and keeps the first error; after it, values are of no meaning. Messages hold names, numbers
 * and counts, never text of the request. Confined to one thread.
 */
final class FieldChecks {

    private final String id;
    private @Nullable RequestError error;

    FieldChecks(String id) {
        this.id = id;
    }

    @Nullable
    RequestError error() {
        return error;
    }

    /** Records an error unless there is one already. */
    void fail(ErrorCode code, String field, String expected, String got, String cure) {
        if (error == null) {
            error = new RequestError(code, field, sentence(id, expected, got, cure));
        }
    }

    static String sentence(String id, String expected, String got, String cure) {
        return "Cannot serve request " + id + ": expected " + expected + ", got " + got + ". " + cure;
    }

    /** Returns a finite number within closed bounds, or the default when there is none. */
    double number(String field, @Nullable Double value, double otherwise, double least, double most) {
        if (value == null) {
            return otherwise;
        }
        // NaN passes every comparison, so finiteness comes first.
        if (!Double.isFinite(value)) {
            invalid(field, field + " to be a finite number", Double.isNaN(value) ? "NaN" : "infinity");
        } else if (value < least || value > most) {
            invalid(field, field + " from " + shown(least) + " to " + shown(most), shown(value));
        }
        return value;
    }

    /** Returns a finite number above 0 and at most a bound, or the default when there is none. */
    double positive(String field, @Nullable Double value, double otherwise, double most) {
        double checked = number(field, value, otherwise, 0, most);
        if (checked == 0) {
            invalid(field, field + " above 0 and at most " + shown(most), "0");
        }
        return checked;
    }

    /** Returns a whole number within closed bounds, or the default when there is none. */
    long whole(String field, @Nullable Long value, long otherwise, long least, long most) {
        if (value == null) {
            return otherwise;
        }
        if (value < least || value > most) {
            invalid(field, field + " from " + least + " to " + most, Long.toString(value));
        }
        return value;
    }

    /** Checks the number of entries of a list. */
    void count(String field, int size, int most) {
        if (size > most) {
            invalid(field, "at most " + most + " entries in " + field, Integer.toString(size));
        }
    }

    /** Checks a name: printable, bounded, not blank. */
    void name(String field, @Nullable String value, int most) {
        if (value == null) {
            return;
        }
        if (value.isBlank()) {
            invalid(field, field + " with at least one character", "none");
        } else if (value.length() > most) {
            invalid(field, field + " of at most " + most + " characters", Integer.toString(value.length()));
        } else if (!wellFormed(value)) {
            surrogate(field);
        } else if (!printable(value)) {
            invalid(field, field + " without control characters", "some");
        }
    }

    /** Checks that text has a UTF-8 form, and returns that form's length. */
    int text(String field, String value) {
        if (!wellFormed(value)) {
            surrogate(field);
        }
        return value.getBytes(StandardCharsets.UTF_8).length;
    }

    void invalid(String field, String expected, String got) {
        fail(ErrorCode.INVALID_PARAM, field, expected, got, "Correct " + field + ".");
    }

    private void surrogate(String field) {
        fail(
                ErrorCode.INVALID_UTF8,
                field,
                "whole Unicode characters in " + field,
                "half of a surrogate pair",
                "Send text as UTF-8.");
    }

    private static boolean wellFormed(String value) {
        return StandardCharsets.UTF_8.newEncoder().canEncode(value);
    }

    private static boolean printable(String value) {
        return value.codePoints().noneMatch(c -> {
            int kind = Character.getType(c);
            return kind == Character.CONTROL
                    || kind == Character.LINE_SEPARATOR
                    || kind == Character.PARAGRAPH_SEPARATOR;
        });
    }

    private static String shown(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e15
                ? Long.toString((long) value)
                : String.format(Locale.ROOT, "%s", value);
    }
}
