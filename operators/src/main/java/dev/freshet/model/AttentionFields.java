package dev.freshet.model;

import com.fasterxml.jackson.databind.JsonNode;
import dev.freshet.attention.AttentionKind;
import dev.freshet.attention.AttentionOptions;
import dev.freshet.attention.LayerAttention;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads the "attention" object of config.json; without one every layer is softmax. */
final class AttentionFields {

    private static final String KINDS = "the name of an attention kind";

    private AttentionFields() {}

    static AttentionOptions options(@Nullable Fields a) {
        AttentionOptions d = AttentionOptions.DEFAULTS;
        if (a == null) {
            return d;
        }
        return new AttentionOptions(
                a.wholeOr("group_size", d.groupSize(), 1, 4096),
                a.wholeOr("conv_taps", d.convTaps(), 1, 1024),
                a.wholeOr("feature_dim", d.featureDim(), 1, 16384),
                a.wholeOr("hash_rounds", d.hashRounds(), 1, 64),
                a.wholeOr("hash_bits", d.hashBits(), 1, 12),
                a.wholeOr("slots", d.slots(), 1, 65536),
                a.wholeOr("slot_positions", d.slotPositions(), 1, 1 << 24));
    }

    static List<LayerAttention> layers(@Nullable Fields a, int count) {
        if (a == null) {
            return Collections.nCopies(count, new LayerAttention(AttentionKind.SOFTMAX, false));
        }
        boolean all = a.flagOr("augmented", false);
        JsonNode entries = a.array("layer_kinds");
        if (entries == null) {
            LayerAttention layer = layer(a, all);
            return Collections.nCopies(count, checked(a, layer));
        }
        if (entries.size() != count) {
            throw a.wrong("layer_kinds", "one entry for each of " + count + " layers", entries.size() + " entries");
        }
        List<LayerAttention> kinds = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            kinds.add(checked(a, entry(a, i, entries.get(i), all)));
        }
        return kinds;
    }

    private static LayerAttention entry(Fields a, int i, JsonNode node, boolean all) {
        String place = "layer_kinds[" + i + "]";
        if (node.isTextual()) {
            AttentionKind kind = AttentionKind.of(node.asText());
            return new LayerAttention(kind, all && kind.augmentable());
        }
        if (!node.isObject()) {
            throw a.wrong(place, KINDS + " or an object with one", node);
        }
        LayerAttention layer = layer(a.element("layer_kinds", i, node), all);
        if (layer.augmented() && !layer.kind().augmentable()) {
            throw a.wrong(place, "a kind with an augmented form", layer.kind().id());
        }
        return layer;
    }

    /** An object's own "augmented" stands as it is; the value for all layers holds for kinds that have such a form. */
    private static LayerAttention layer(Fields fields, boolean all) {
        AttentionKind kind = AttentionKind.of(fields.text("kind", KINDS));
        return new LayerAttention(kind, fields.flagOr("augmented", all && kind.augmentable()));
    }

    private static LayerAttention checked(Fields a, LayerAttention layer) {
        int features = a.wholeOr("feature_dim", 2, 1, 16384);
        if (layer.kind() == AttentionKind.HEDGEHOG && features % 2 != 0) {
            throw a.wrong("feature_dim", "an even number for hedgehog", features);
        }
        return layer;
    }
}
