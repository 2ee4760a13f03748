package dev.freshet.speculative;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class LookupPaceTest {

    private final LookupPace pace = new LookupPace();

    @Test
    void aTextThatRepeatsItselfGetsLongGuesses() {
        int steps = 0;
        while (pace.next(15) < 15) {
            int n = pace.next(15);
            pace.learn(n, n);
            assertThat(++steps).isLessThan(4);
        }
    }

    @Test
    void aTextThatDoesNotCostsFewRows() {
        int rows = 0;
        for (int step = 0; step < 1000; step++) {
            int n = pace.next(15);
            rows += n;
            if (n > 0) {
                pace.learn(n, 0);
            }
        }
        assertThat(rows).isBetween(20, 50);
    }

    @Test
    void partlyRightGuessesSettleJustAboveWhatIsRight() {
        for (int step = 0; step < 20; step++) {
            int n = pace.next(15);
            pace.learn(n, Math.min(n, 2));
        }
        assertThat(pace.next(15)).isBetween(3, 4);
    }

    @Test
    void comesBackAfterAPauseAndKeepsToTheLimit() {
        for (int step = 0; step < 8; step++) {
            int n = pace.next(15);
            if (n > 0) {
                pace.learn(n, 0);
            }
        }
        int waited = 0;
        while (pace.next(15) == 0) {
            waited++;
        }
        assertThat(waited).isLessThan(32);
        pace.learn(1, 1);
        pace.learn(2, 2);
        assertThat(pace.next(3)).isEqualTo(3);
    }
}
