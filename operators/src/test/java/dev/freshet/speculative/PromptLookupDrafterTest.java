package dev.freshet.speculative;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.sampling.CounterRng;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class PromptLookupDrafterTest {

    private static PromptLookupDrafter of(int... tokens) {
        PromptLookupDrafter drafter = new PromptLookupDrafter();
        for (int token : tokens) {
            drafter.add(token);
        }
        return drafter;
    }

    private static List<Integer> propose(PromptLookupDrafter drafter, int limit) {
        int[] out = new int[limit];
        int n = drafter.propose(out, limit);
        List<Integer> list = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            list.add(out[i]);
        }
        return list;
    }

    @Test
    void proposesWhatFollowedTheLastOccurrence() {
        assertThat(propose(of(1, 2, 3, 4, 5, 9, 2, 3), 3)).containsExactly(4, 5, 9);
        assertThat(propose(of(1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3), 1)).containsExactly(8);
    }

    @Test
    void prefersTheLongerMatch() {
        assertThat(propose(of(5, 1, 2, 30, 6, 1, 2, 40, 5, 1, 2), 1)).containsExactly(30);
    }

    @Test
    void continuesALoopAsALoop() {
        assertThat(propose(of(8, 9, 8, 9), 5)).containsExactly(8, 9, 8, 9, 8);
    }

    @Test
    void proposesNothingWithoutAnEarlierOccurrence() {
        assertThat(propose(of(1, 2, 3, 4), 4)).isEmpty();
        assertThat(propose(of(), 4)).isEmpty();
        assertThat(propose(of(3), 4)).isEmpty();
    }

    @Test
    void agreesWithASearchOfTheWholeSequence() {
        List<Integer> tokens = new ArrayList<>();
        PromptLookupDrafter drafter = new PromptLookupDrafter();
        for (int i = 0; i < 3_000; i++) {
            int token = (int) (CounterRng.uniform(3, i) * 6);
            drafter.add(token);
            tokens.add(token);
            assertThat(propose(drafter, 4)).as("after %d tokens", i + 1).isEqualTo(search(tokens, 4));
        }
    }

    @Test
    void forgetsWhatLiesFarBackAndFindsWhatIsNear() {
        PromptLookupDrafter drafter = of(-1, -2, -3, -4);
        int length = 200_000;
        for (int i = 0; i < length; i++) {
            drafter.add(i);
        }
        for (int token : new int[] {-1, -2, -3}) {
            drafter.add(token);
        }
        assertThat(propose(drafter, 1)).isEmpty();
        for (int token : new int[] {length - 9_002, length - 9_001, length - 9_000}) {
            drafter.add(token);
        }
        assertThat(propose(drafter, 2)).containsExactly(length - 8_999, length - 8_998);
    }

    private static List<Integer> search(List<Integer> tokens, int limit) {
        int length = tokens.size();
        for (int n = Math.min(3, length); n >= 2; n--) {
            List<Integer> last = tokens.subList(length - n, length);
            for (int end = length - 1; end >= n; end--) {
                if (tokens.subList(end - n, end).equals(last)) {
                    List<Integer> out = new ArrayList<>();
                    for (int i = 0; i < limit; i++) {
                        out.add(end + i < length ? tokens.get(end + i) : out.get(end + i - length));
                    }
                    return out;
                }
            }
        }
        return List.of();
    }
}
