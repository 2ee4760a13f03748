package dev.freshet.speculative;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

final class TreeShapeTest {

    private static final List<List<Integer>> CHOICES =
            List.of(List.of(1), List.of(0), List.of(0, 0), List.of(1, 0), List.of(0, 1), List.of(0, 0, 0));

    @Test
    void sortsByLengthThenLexicographically() {
        TreeShape shape = TreeShape.of(CHOICES);
        assertThat(shape.size()).isEqualTo(7);
        int[] parents = new int[7];
        int[] depths = new int[7];
        int[] ranks = new int[7];
        for (int i = 0; i < 7; i++) {
            parents[i] = shape.parent(i);
            depths[i] = shape.depth(i);
            ranks[i] = shape.rank(i);
        }
        assertThat(parents).containsExactly(-1, 0, 0, 1, 1, 2, 3);
        assertThat(depths).containsExactly(0, 1, 1, 2, 2, 2, 3);
        assertThat(ranks).containsExactly(0, 0, 1, 0, 1, 0, 0);
        assertThat(shape.sizeWithin(0)).isEqualTo(1);
        assertThat(shape.sizeWithin(2)).isEqualTo(6);
        assertThat(shape.maxRank()).isEqualTo(1);
    }

    @Test
    void pruningKeepsTheLikeliestPathsAndTheirParents() {
        TreeShape four = TreeShape.pruned(CHOICES, 4);
        assertThat(four.size()).isEqualTo(4);
        assertThat(new int[] {four.depth(1), four.depth(2), four.depth(3)}).containsExactly(1, 1, 2);
        assertThat(TreeShape.pruned(CHOICES, 1).size()).isEqualTo(1);
        assertThat(TreeShape.pruned(CHOICES, 100).size()).isEqualTo(7);
    }

    @Test
    void refusesAPathWithoutItsParent() {
        assertThatThrownBy(() -> TreeShape.of(List.of(List.of(0, 0))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("no parent");
    }
}
