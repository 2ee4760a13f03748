package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;

class RecentIdsTest {

    private static final byte[] A = {1};
    private static final byte[] B = {2};

    @Test
    void tellsRepetitionsFromConflicts() {
        RecentIds ids = new RecentIds(10);
        assertThat(ids.see("x", A)).isEqualTo(RecentIds.Verdict.NEW);
        assertThat(ids.see("x", A)).isEqualTo(RecentIds.Verdict.REPEATED);
        assertThat(ids.see("x", B)).isEqualTo(RecentIds.Verdict.CONFLICT);
        assertThat(ids.see("y", A)).isEqualTo(RecentIds.Verdict.NEW);
    }

    @Test
    void forgetsTheOldestBeyondItsLimit() {
        RecentIds ids = new RecentIds(2);
        ids.see("x", A);
        ids.see("y", A);
        ids.see("z", A);
        assertThat(ids.size()).isEqualTo(2);
        assertThat(ids.see("x", A)).isEqualTo(RecentIds.Verdict.NEW);
    }

    @Test
    void remembersAcrossACheckpoint() throws IOException {
        RecentIds before = new RecentIds(10);
        before.see("x", A);
        RecentIds after = new RecentIds(10);
        after.addAll(before.toBytes());
        after.addAll(new RecentIds(10).toBytes());
        assertThat(after.see("x", A)).isEqualTo(RecentIds.Verdict.REPEATED);
        assertThat(after.see("x", B)).isEqualTo(RecentIds.Verdict.CONFLICT);
    }

    @Test
    void withoutALimitNothingIsRemembered() {
        RecentIds ids = new RecentIds(0);
        ids.see("x", A);
        assertThat(ids.see("x", A)).isEqualTo(RecentIds.Verdict.NEW);
    }
}
