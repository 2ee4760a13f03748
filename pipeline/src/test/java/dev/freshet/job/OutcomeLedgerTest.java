package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.job.OutcomeLedger.Kind;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class OutcomeLedgerTest {

    private final OutcomeLedger ledger = new OutcomeLedger("prompts", 2);

    private void outcome(Kind kind, int partition, long offset) {
        ledger.outcome(kind, new OutcomePosition("prompts", partition, offset), "out-0-" + offset);
    }

    private Verification close() {
        return ledger.close(List.of());
    }

    @Test
    void everyInputWithOneOutcomeHolds() {
        outcome(Kind.COMPLETION, 0, 5);
        outcome(Kind.ERROR, 1, 1L << 40);
        outcome(Kind.DEAD_LETTER, 1, 7);
        ledger.input(0, 5, 1, 1);
        ledger.input(1, 7, 2, 2);
        ledger.input(1, 1L << 40, 3, 3);
        assertThat(ledger.hasOpen()).isFalse();
        Verification v = close();
        assertThat(v.holds()).isTrue();
        assertThat(List.of(v.inputs(), v.completions(), v.errors(), v.deadLetters()))
                .containsExactly(3L, 1L, 1L, 1L);
    }

    @Test
    void listsTheFirstOfManyMissing() {
        for (long offset = 0; offset < 5; offset++) {
            ledger.input(3, offset, offset, offset);
        }
        Verification v = close();
        assertThat(v.holds()).isFalse();
        assertThat(v.missing()).isEqualTo(new Verification.Finding(5, List.of("prompts-3-0", "prompts-3-1")));
    }

    @Test
    void aRepetitionOfAnAnsweredRequestIsADuplicateInWhateverOrder() {
        outcome(Kind.COMPLETION, 0, 1);
        long[][] inputs = {{0, 0, 42, 7}, {0, 1, 42, 7}, {1, 0, 42, 7}, {1, 1, 42, 8}, {1, 2, 43, 7}};
        for (long[] i : inputs) {
            ledger.input((int) i[0], i[1], i[2], i[3]);
        }
        assertThat(ledger.hasOpen()).isTrue();
        for (long[] i : inputs) {
            ledger.again((int) i[0], i[1], i[2], i[3]);
        }
        Verification v = close();
        assertThat(v.duplicates()).isEqualTo(2);
        // The same id with another content is a conflict, which would have had a dead letter.
        assertThat(v.missing().first()).containsExactly("prompts-1-1", "prompts-1-2");
    }

    @Test
    void aRequestLostWithItsRepetitionIsLostTwice() {
        ledger.input(0, 0, 42, 7);
        ledger.input(0, 1, 42, 7);
        ledger.again(0, 0, 42, 7);
        ledger.again(0, 1, 42, 7);
        assertThat(close().missing().count()).isEqualTo(2);
    }

    @Test
    void aSecondOutcomeOfAnInputOrAnIdIsSeen() {
        outcome(Kind.COMPLETION, 0, 0);
        outcome(Kind.ERROR, 0, 0);
        outcome(Kind.COMPLETION, 0, 1);
        ledger.input(0, 0, 42, 7);
        ledger.input(0, 1, 42, 7);
        ledger.completed(42, true, "out-0-0");
        ledger.completed(42, false, "out-0-9");
        Verification v = close();
        assertThat(v.twice().first())
                .containsExactly("input prompts-0-0 again at out-0-0", "request id again at out-0-9");
        assertThat(v.resumed()).isEqualTo(1);
        assertThat(v.holds()).isFalse();
    }

    @Test
    void outcomesOfNoInputAreUnknownUnlessTheBrokerDeletedIt() {
        ledger.begin(0, 10);
        outcome(Kind.COMPLETION, 0, 3);
        outcome(Kind.COMPLETION, 0, 10);
        ledger.input(0, 10, 1, 1);
        ledger.outcome(Kind.COMPLETION, new OutcomePosition("elsewhere", 0, 3), "out-0-9");
        assertThat(close().holds()).isTrue();
        outcome(Kind.COMPLETION, 0, 11);
        Verification v = close();
        assertThat(v.expired()).isEqualTo(1);
        assertThat(v.otherSources()).isEqualTo(1);
        assertThat(v.unknown().first()).containsExactly("prompts-0-11");
        assertThat(v.holds()).isFalse();
    }

    @Test
    void oneCorruptOutcomeBreaksTheLaw() {
        outcome(Kind.COMPLETION, 0, 0);
        ledger.input(0, 0, 1, 1);
        assertThat(close().holds()).isTrue();
        ledger.corrupt("out-0-0", "wrong checksum");
        assertThat(close().holds()).isFalse();
    }

    @Property(tries = 200)
    void theHashSetIsASet(@ForAll List<Byte> small, @ForAll List<Long> wide) {
        LongHashSet set = new LongHashSet();
        Set<Long> expected = new HashSet<>();
        for (int i = 0; i < 40; i++) {
            for (byte b : small) {
                long value = ((long) b << 33) + i * 64L;
                assertThat(set.add(value)).isEqualTo(expected.add(value));
            }
        }
        for (long value : wide) {
            assertThat(set.contains(value)).isEqualTo(expected.contains(value));
            assertThat(set.add(value)).isEqualTo(expected.add(value));
            assertThat(set.contains(value)).isTrue();
        }
    }
}
