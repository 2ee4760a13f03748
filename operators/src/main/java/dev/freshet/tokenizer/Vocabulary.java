package dev.freshet.tokenizer;

import java.util.BitSet;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** The tokens of a tokenizer, in both directions. Immutable. */
final class Vocabulary {

    private final @Nullable String[] pieces;
    private final Map<String, Integer> ids;
    private final BitSet special;

    Vocabulary(@Nullable String[] pieces, Map<String, Integer> ids, BitSet special) {
        this.pieces = pieces;
        this.ids = ids;
        this.special = special;
    }

    /** One more than the highest id. */
    int size() {
        return pieces.length;
    }

    /** The token's string, or null for an id without one. */
    @Nullable
    String piece(int id) {
        return id >= 0 && id < pieces.length ? pieces[id] : null;
    }

    boolean isSpecial(int id) {
        return id >= 0 && special.get(id);
    }

    OptionalInt idOf(String piece) {
        Integer id = ids.get(piece);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }
}
