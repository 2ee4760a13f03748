package dev.freshet.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;

final class WorkerPoolTest {

    @Test
    void everyItemIsDoneOnceWhateverTheLength() {
        try (WorkerPool pool = new WorkerPool(3)) {
            for (int round = 0; round < 20_000; round++) {
                int count = round % 40;
                AtomicIntegerArray seen = new AtomicIntegerArray(40);
                pool.run(count, (from, to, worker) -> {
                    for (int i = from; i < to; i++) {
                        seen.incrementAndGet(i);
                    }
                });
                for (int i = 0; i < 40; i++) {
                    assertThat(seen.get(i)).as("item %d of %d", i, count).isEqualTo(i < count ? 1 : 0);
                }
            }
        }
    }

    @Test
    void theCallerDoesTheWorkOfAThreadThatIsLate() throws InterruptedException {
        CountDownLatch release = new CountDownLatch(1);
        CountDownLatch held = new CountDownLatch(1);
        int[] done = new int[2];
        try (WorkerPool pool = new WorkerPool(2)) {
            Thread caller = new Thread(() -> pool.run(100, (from, to, worker) -> {
                if (worker == 1) {
                    held.countDown();
                    await(release);
                } else {
                    await(held);
                }
                synchronized (done) {
                    done[worker] += to - from;
                    done.notifyAll();
                }
            }));
            caller.start();
            synchronized (done) {
                // The worker holds one piece of eight; the caller gets all the others done without it.
                while (done[0] < 87) {
                    done.wait(10_000);
                }
            }
            release.countDown();
            caller.join();
        }
        assertThat(done[0] + done[1]).isEqualTo(100);
    }

    @Test
    void aFailureOnAWorkerReachesTheCallerAndThePoolGoesOn() {
        CountDownLatch thrown = new CountDownLatch(1);
        try (WorkerPool pool = new WorkerPool(2)) {
            assertThatThrownBy(() -> pool.run(2, (from, to, worker) -> {
                        if (worker == 1) {
                            thrown.countDown();
                            throw new IllegalArgumentException("planned");
                        }
                        await(thrown);
                    }))
                    .isInstanceOf(IllegalStateException.class)
                    .hasRootCauseMessage("planned");
            int[] items = new int[2];
            pool.run(2, (from, to, worker) -> items[from]++);
            assertThat(items).containsExactly(1, 1);
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            assertThat(latch.await(10, TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
