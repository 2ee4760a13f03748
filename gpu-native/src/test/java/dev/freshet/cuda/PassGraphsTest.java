package dev.freshet.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Matrix;
import dev.freshet.kernel.WeightFormat;
import org.junit.jupiter.api.Test;

final class PassGraphsTest {

    private static final int DIM = 5;

    private static Matrix table(CudaKernels kernels) {
        return kernels.pack(
                (row, out) -> {
                    for (int c = 0; c < DIM; c++) {
                        out[c] = 10 * row + c;
                    }
                },
                9,
                DIM,
                WeightFormat.F32);
    }

    private static float[] content(CudaKernels kernels, Buffer buffer) {
        float[] out = new float[(int) buffer.length()];
        kernels.read(buffer, 0, out, 0, out.length);
        return out;
    }

    @Test
    void passOfTheSameShapeIsReplayedWithNewTokens() {
        try (CudaKernels kernels = FakeDriver.open(new CudaOptions(60_000, true), FaultHandler.HALT)) {
            Matrix table = table(kernels);
            Buffer out = kernels.allocate(DIM);
            for (int step = 0; step < 6; step++) {
                int[] token = {step};
                kernels.pass(() -> kernels.embed(table, token, 1, out));
                assertThat(content(kernels, out))
                        .containsExactly(10 * step, 10 * step + 1, 10 * step + 2, 10 * step + 3, 10 * step + 4);
            }
            // The first step is only seen, the second is captured and launched at once.
            assertThat(kernels.replays()).isEqualTo(5);
        }
    }

    @Test
    void passOfAnotherShapeIsNotReplayed() {
        try (CudaKernels kernels = FakeDriver.open(new CudaOptions(60_000, true), FaultHandler.HALT)) {
            Matrix table = table(kernels);
            Buffer out = kernels.allocate(3 * DIM);
            for (int rows = 1; rows <= 3; rows++) {
                int n = rows;
                int[] tokens = {4, 2, 7};
                kernels.pass(() -> kernels.embed(table, tokens, n, out));
            }
            assertThat(kernels.replays()).isZero();
            assertThat(content(kernels, out)[2 * DIM]).isEqualTo(70);
        }
    }

    @Test
    void numberOfGraphsHasABound() {
        int shapes = PassGraphs.CAPACITY + 20;
        try (CudaKernels kernels = FakeDriver.open(new CudaOptions(60_000, true), FaultHandler.HALT)) {
            Matrix table = table(kernels);
            Buffer out = kernels.allocate((long) shapes * DIM);
            int[] tokens = new int[shapes];
            for (int rows = 1; rows <= shapes; rows++) {
                for (int again = 0; again < 2; again++) {
                    int n = rows;
                    kernels.pass(() -> kernels.embed(table, tokens, n, out));
                }
            }
            assertThat(kernels.replays()).isEqualTo(shapes);
            assertThat(kernels.graphs()).isEqualTo(PassGraphs.CAPACITY);
        }
    }

    @Test
    void withoutGraphsTheSameResult() {
        try (CudaKernels kernels = FakeDriver.open(new CudaOptions(60_000, false), FaultHandler.HALT)) {
            Matrix table = table(kernels);
            Buffer out = kernels.allocate(DIM);
            for (int step = 0; step < 3; step++) {
                int[] token = {step};
                kernels.pass(() -> kernels.embed(table, token, 1, out));
            }
            assertThat(kernels.replays()).isZero();
            assertThat(content(kernels, out)[0]).isEqualTo(20);
        }
    }

    @Test
    void parametersThatDoNotFillTheStructAreRefused() {
        try (CudaKernels kernels = FakeDriver.open(new CudaOptions(60_000, true), FaultHandler.HALT)) {
            Buffer x = kernels.allocate(4);
            assertThatThrownBy(() -> kernels.launch("gather_any_f32")
                            .pointer(DeviceBuffer.of(x))
                            .i32(4)
                            .run(1, 128, 0))
                    .hasMessageContaining("expected 32 bytes of parameters, got 16");
        }
    }
}
