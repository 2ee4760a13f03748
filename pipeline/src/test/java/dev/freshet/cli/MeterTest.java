package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MeterTest {

    private long now;

    private Meter meter(int runs, long warm) {
        return new Meter(() -> now, runs, 100, warm);
    }

    @Test
    void doesNotTrustCodeThatIsSteadyBeforeItIsCompiledWell() {
        int[] calls = {0};
        Meter.Rate rate = meter(1, 12_000).measure(() -> {
            now += calls[0]++ < 3 ? 1_000 : 100;
            return 1;
        });
        assertThat(rate.settled()).isTrue();
        assertThat(rate.median()).isEqualTo(1e9 / 100);
    }

    @Test
    void waitsUntilThreeBatchesAgree() {
        long[] cost = {800, 400, 200, 100, 100, 100, 100, 100, 100};
        int[] calls = {0};
        Meter.Rate rate = meter(1, 4_000).measure(() -> {
            now += cost[Math.min(calls[0]++, cost.length - 1)];
            return 1;
        });
        assertThat(rate.settled()).isTrue();
        assertThat(calls[0]).isEqualTo(7);
        assertThat(rate.median()).isEqualTo(1e9 / 100);
    }

    @Test
    void saysThatItNeverSettled() {
        int[] calls = {0};
        Meter.Rate rate = meter(3, 5_000).measure(() -> {
            now += calls[0]++ % 2 == 0 ? 100 : 200;
            return 2;
        });
        assertThat(rate.settled()).isFalse();
        assertThat(rate.low()).isEqualTo(1e7);
        assertThat(rate.high()).isEqualTo(2e7);
        assertThat(rate.median()).isBetween(rate.low(), rate.high());
    }

    @Test
    void shortWorkIsRepeatedWithinABatch() {
        double rate = meter(1, 0).batch(() -> {
            now += 7;
            return 3;
        });
        assertThat(now).isEqualTo(105);
        assertThat(rate).isEqualTo(45 * 1e9 / 105);
    }
}
