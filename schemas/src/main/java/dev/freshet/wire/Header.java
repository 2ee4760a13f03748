package dev.freshet.wire;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One record header; names may repeat. The value is not copied and must not be changed. Immutable.
 *
 * @param name name
 * @param value bytes, or null
 */
public record Header(String name, byte @Nullable [] value) {

    // Spelled out because a compact constructor loses the annotation of the array parameter.
    public Header(String name, byte @Nullable [] value) {
        this.name = name;
        this.value = value;
    }

    /** Returns a header with text as UTF-8. */
    public static Header of(String name, String value) {
        return new Header(name, Utf8Text.repaired(value).getBytes(StandardCharsets.UTF_8));
    }

    /** Returns the last header of a name, which is the one that counts, or null. */
    public static @Nullable Header last(List<Header> headers, String name) {
        for (int i = headers.size() - 1; i >= 0; i--) {
            if (headers.get(i).name.equals(name)) {
                return headers.get(i);
            }
        }
        return null;
    }

    /** Returns the text of the last header of a name, or null when there is none or it is not UTF-8. */
    public static @Nullable String lastText(List<Header> headers, String name) {
        Header header = last(headers, name);
        if (header == null || header.value == null) {
            return null;
        }
        return Utf8Text.decode(header.value, 0, header.value.length);
    }

    /** Bytes that the header takes: its name in UTF-8 and its value. */
    int size() {
        return name.getBytes(StandardCharsets.UTF_8).length + (value == null ? 0 : value.length);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Header h && name.equals(h.name) && Arrays.equals(value, h.value);
    }

    @Override
    public int hashCode() {
        return 31 * name.hashCode() + Arrays.hashCode(value);
    }

    /** The name and the length of the value, which may be confidential. */
    @Override
    public String toString() {
        return name + "[" + (value == null ? "null" : Integer.toString(value.length)) + "]";
    }
}
