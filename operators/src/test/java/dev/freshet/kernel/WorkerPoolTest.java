package dev.freshet.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

final class WorkerPoolTest {

    @Test
    void everyItemIsDoneOnceByAFixedWorker() {
        try (WorkerPool pool = new WorkerPool(3)) {
            int[] owner = new int[10];
            for (int round = 0; round < 2_000; round++) {
                int[] seen = new int[10];
                int[] by = new int[10];
                pool.run(10, (from, to, worker) -> {
                    for (int i = from; i < to; i++) {
                        seen[i]++;
                        by[i] = worker;
                    }
                });
                assertThat(seen).containsOnly(1);
                if (round == 0) {
                    owner = by;
                }
                assertThat(by).isEqualTo(owner);
            }
        }
    }

    @Test
    void aFailureOnAWorkerReachesTheCaller() {
        try (WorkerPool pool = new WorkerPool(2)) {
            assertThatThrownBy(() -> pool.run(2, (from, to, worker) -> {
                        if (worker == 1) {
                            throw new IllegalArgumentException("planned");
                        }
                    }))
                    .isInstanceOf(IllegalStateException.class)
                    .hasRootCauseMessage("planned");
        }
    }
}
