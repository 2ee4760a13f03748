package dev.freshet.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads the "medusa" object of config.json. */
final class MedusaFields {

    /** Nodes of the largest tree, the root included; ancestor masks are one 64-bit word. */
    private static final int MAX_TREE = 64;

    private static final int MAX_RANK = 255;

    private MedusaFields() {}

    static int heads(Fields medusa) {
        return medusa.whole("num_heads", 0, MAX_TREE);
    }

    /** The choices of the candidate tree, empty when there are no heads or no tree. */
    static List<List<Integer>> tree(@Nullable Fields medusa, int heads) {
        JsonNode choices = medusa == null || heads == 0 ? null : medusa.array("tree");
        if (medusa == null || choices == null) {
            return List.of();
        }
        if (choices.size() >= MAX_TREE) {
            throw medusa.wrong("tree", "fewer than " + MAX_TREE + " paths", choices.size() + " paths");
        }
        Set<List<Integer>> seen = new HashSet<>();
        List<List<Integer>> tree = new ArrayList<>();
        for (JsonNode choice : choices) {
            List<Integer> path = path(medusa, choice, heads);
            if (!seen.add(path)) {
                throw medusa.wrong("tree", "different paths", path + " twice");
            }
            tree.add(path);
        }
        for (List<Integer> path : tree) {
            if (path.size() > 1 && !seen.contains(path.subList(0, path.size() - 1))) {
                throw medusa.wrong("tree", "the parent of every path", path + " without it");
            }
        }
        return tree;
    }

    private static List<Integer> path(Fields medusa, JsonNode choice, int heads) {
        List<Integer> path = new ArrayList<>();
        boolean sound = choice.isArray() && !choice.isEmpty() && choice.size() <= heads;
        for (JsonNode rank : choice) {
            sound &= rank.isIntegralNumber() && rank.canConvertToInt() && rank.asInt() >= 0 && rank.asInt() <= MAX_RANK;
            path.add(rank.asInt());
        }
        if (!sound) {
            throw medusa.wrong("tree", "paths of 1 to " + heads + " ranks from 0 to " + MAX_RANK, choice);
        }
        return path;
    }
}
