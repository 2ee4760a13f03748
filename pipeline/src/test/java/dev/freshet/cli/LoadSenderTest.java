package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The sender under a clock that moves only when somebody waits or works. */
class LoadSenderTest {

    private static final long MILLI = 1_000_000;

    private static final class FakePace implements LoadSender.Pace {
        private long now;

        @Override
        public long nanos() {
            return now;
        }

        @Override
        public void await(long nanos) {
            now = Math.max(now, nanos);
        }
    }

    private static Traffic at(long... millis) {
        List<Traffic.Arrival> arrivals = new ArrayList<>();
        for (long m : millis) {
            arrivals.add(new Traffic.Arrival(m * MILLI, 1, 1));
        }
        return new Traffic("t", arrivals, 1);
    }

    private final FakePace pace = new FakePace();
    private final List<String> events = new ArrayList<>();

    private byte[] make(int number, long cost) {
        pace.now += cost;
        events.add("make " + number);
        return new byte[] {(byte) number};
    }

    private void send(int number, byte[] record, long cost) {
        assertThat(record).containsExactly(number);
        events.add("send " + number + " at " + pace.now / MILLI);
        pace.now += cost;
    }

    @Test
    void requestsLeaveAtTheirTimesAndAreMadeAhead() throws InterruptedException {
        LoadSender sender = new LoadSender(at(0, 100, 100, 400), pace, (n, a) -> make(n, 0), (n, r) -> send(n, r, 0));
        sender.run();
        assertThat(events)
                .containsExactly(
                        "make 0",
                        "send 0 at 0",
                        "make 1",
                        "make 2",
                        "make 3",
                        "send 1 at 100",
                        "send 2 at 100",
                        "send 3 at 400");
        assertThat(sender.lateness().getMaxValue()).isZero();
        assertThat(sender.sent()).isEqualTo(4);
    }

    @Test
    void aBrokerThatHoldsTheSenderUpChangesNoTimeAndIsSeen() throws InterruptedException {
        LoadSender sender = new LoadSender(
                at(0, 10, 20, 500), pace, (n, a) -> make(n, 0), (n, r) -> send(n, r, n == 0 ? 300 * MILLI : 0));
        sender.run();
        assertThat(events).contains("send 1 at 300", "send 2 at 300", "send 3 at 500");
        assertThat(sender.lateness().getMaxValue()).isBetween(290_000L, 290_500L);
        assertThat(sender.lateness().getValueAtPercentile(50)).isZero();
    }

    @Test
    void slowMakingIsDoneWhileThereIsTime() throws InterruptedException {
        LoadSender sender =
                new LoadSender(at(0, 100, 101, 102, 103), pace, (n, a) -> make(n, 15 * MILLI), (n, r) -> send(n, r, 0));
        sender.run();
        assertThat(events).contains("send 1 at 100", "send 2 at 101", "send 3 at 102", "send 4 at 103");
    }
}
