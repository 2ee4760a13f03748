package dev.freshet.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.request.ConfigError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsFileTest {

    @TempDir
    Path folder;

    private static float[] ramp(int n) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (i % 200 - 100) / 8f;
        }
        return values;
    }

    @Nested
    class WellFormed {

        @ParameterizedTest
        @EnumSource(
                value = DType.class,
                names = {"F32", "F16", "BF16"})
        void valuesComeBack(DType dtype) {
            Path file = folder.resolve("a.safetensors");
            float[] big = ramp(3 * 5000);
            SafetensorsWriter.write(
                    file,
                    Map.of(
                            "big", SafetensorsWriter.Tensor.of(big, 3, 5000),
                            "scalar", SafetensorsWriter.Tensor.of(new float[] {-2.5f}),
                            "empty", SafetensorsWriter.Tensor.of(new float[0], 0, 7)),
                    dtype);
            try (SafetensorsFile weights = SafetensorsFile.open(file)) {
                assertThat(weights.names()).containsExactlyInAnyOrder("big", "empty", "scalar");
                assertThat(weights.has("big")).isTrue();
                assertThat(weights.has("small")).isFalse();
                assertThat(weights.info("big").dtype()).isEqualTo(dtype);
                assertThat(weights.info("big").shape()).containsExactly(3, 5000);
                assertThat(weights.floats("big", 3, 5000)).containsExactly(big);
                assertThat(weights.floats("scalar")).containsExactly(-2.5f);
                assertThat(weights.floats("empty", 0, 7)).isEmpty();
                float[] row = new float[6];
                weights.readFloats("big", 4999, row, 1, 4);
                assertThat(row).containsExactly(0, big[4999], big[5000], big[5001], big[5002], 0);
            }
        }

        // Windows of odd sizes cut elements in half, as gigabyte windows do when the data is not aligned.
        @ParameterizedTest
        @ValueSource(longs = {1, 2, 3, 5, 7, 64, 1000, 1001})
        void valuesComeBackAcrossWindows(long window) {
            for (DType dtype : new DType[] {DType.F32, DType.F16, DType.BF16}) {
                Path file = folder.resolve(dtype + ".safetensors");
                float[] values = ramp(700);
                SafetensorsWriter.write(
                        file,
                        Map.of(
                                "a", SafetensorsWriter.Tensor.of(values, 700),
                                "b", SafetensorsWriter.Tensor.of(values, 7, 100)),
                        dtype);
                try (SafetensorsFile weights = SafetensorsFile.open(file, window)) {
                    assertThat(weights.floats("a", 700)).containsExactly(values);
                    assertThat(weights.floats("b", 7, 100)).containsExactly(values);
                }
            }
        }

        @Test
        void unalignedFloatsAreReadWhole() throws Exception {
            String header = "{\"flags\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                    + "\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[3,11]}}";
            byte[] data = {1, 2, 3, 0, 0, (byte) 0x80, 0x3f, 0, 0, 0, 0x40};
            Path file = folder.resolve("odd.safetensors");
            Files.write(file, SafetensorsWriter.file(header, data));
            for (long window = 1; window < 13; window++) {
                try (SafetensorsFile weights = SafetensorsFile.open(file, window)) {
                    assertThat(weights.floats("x", 2)).containsExactly(1f, 2f);
                }
            }
        }

        @Test
        void metadataAndSpacesAreFine() throws Exception {
            String header = "{ \"__metadata__\" : {\"format\":\"pt\"}, \"x\":{\"data_offsets\":[0,2],\"shape\":[1],"
                    + "\"dtype\":\"BF16\"}}\n  ";
            Path file = folder.resolve("meta.safetensors");
            Files.write(file, SafetensorsWriter.file(header, new byte[] {(byte) 0x80, 0x3f}));
            try (SafetensorsFile weights = SafetensorsFile.open(file)) {
                assertThat(weights.metadata()).containsExactly(Map.entry("format", "pt"));
                assertThat(weights.floats("x", 1)).containsExactly(1f);
            }
        }

        @Test
        void noTensorsAtAllIsFine() throws Exception {
            Path file = folder.resolve("none.safetensors");
            Files.write(file, SafetensorsWriter.file("{}", new byte[0]));
            try (SafetensorsFile weights = SafetensorsFile.open(file)) {
                assertThat(weights.names()).isEmpty();
            }
        }

        @Test
        void threadsReadTogether() {
            Path file = folder.resolve("t.safetensors");
            float[] values = ramp(40_000);
            SafetensorsWriter.write(file, Map.of("x", SafetensorsWriter.Tensor.of(values, 40_000)), DType.F16);
            try (SafetensorsFile weights = SafetensorsFile.open(file, 4099)) {
                boolean same = IntStream.range(0, 64).parallel().allMatch(i -> {
                    float[] part = new float[625];
                    weights.readFloats("x", i * 625L, part, 0, 625);
                    return java.util.Arrays.equals(part, 0, 625, values, i * 625, i * 625 + 625);
                });
                assertThat(same).isTrue();
            }
        }

        @Test
        void sharedModelIsReadable() {
            Path model = Path.of(System.getProperty("freshet.shared", "../../shared"), "data/models/stories260k");
            Assumptions.assumeTrue(Files.isDirectory(model), "no shared model folder, skipped");
            try (WeightsDirectory weights = WeightsDirectory.open(model)) {
                assertThat(weights.info("model.norm.weight").shape()).containsExactly(64);
                assertThat(weights.floats("model.norm.weight", 64))
                        .doesNotContain(Float.NaN)
                        .hasSize(64);
            }
        }
    }

    @Nested
    class Misuse {

        private SafetensorsFile sample() {
            Path file = folder.resolve("m.safetensors");
            SafetensorsWriter.write(file, Map.of("x", SafetensorsWriter.Tensor.of(ramp(6), 2, 3)), DType.F32);
            return SafetensorsFile.open(file);
        }

        @Test
        void wrongShapeNamesExpectedAndGot() {
            try (SafetensorsFile weights = sample()) {
                assertThatThrownBy(() -> weights.floats("x", 3, 2))
                        .isInstanceOf(ConfigError.class)
                        .hasMessageContaining("tensor x expected [3, 2], got [2, 3] F32")
                        .hasMessageContaining("m.safetensors")
                        .hasMessageContaining("Check");
            }
        }

        @Test
        void missingTensorIsNamed() {
            try (SafetensorsFile weights = sample()) {
                assertThatThrownBy(() -> weights.info("y"))
                        .isInstanceOf(ConfigError.class)
                        .hasMessageContaining("expected tensor y, got none");
            }
        }

        @Test
        void rangesAreChecked() {
            try (SafetensorsFile weights = sample()) {
                float[] out = new float[6];
                assertThatThrownBy(() -> weights.readFloats("x", 1, out, 0, 6))
                        .isInstanceOf(IndexOutOfBoundsException.class);
                assertThatThrownBy(() -> weights.readFloats("x", -1, out, 0, 1))
                        .isInstanceOf(IndexOutOfBoundsException.class);
                assertThatThrownBy(() -> weights.readFloats("x", 0, out, 1, 6))
                        .isInstanceOf(IndexOutOfBoundsException.class);
            }
        }

        @Test
        void integersAreListedButNotConverted() throws Exception {
            Path file = folder.resolve("i.safetensors");
            String header = "{\"x\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
            Files.write(file, SafetensorsWriter.file(header, new byte[8]));
            try (SafetensorsFile weights = SafetensorsFile.open(file)) {
                assertThat(weights.info("x").describe()).isEqualTo("[2] I32");
                assertThatThrownBy(() -> weights.floats("x", 2))
                        .isInstanceOf(ConfigError.class)
                        .hasMessageContaining("expected F32, F16 or BF16, got [2] I32");
            }
        }

        @Test
        void closedFileIsNotRead() {
            SafetensorsFile weights = sample();
            weights.close();
            assertThatThrownBy(() -> weights.floats("x", 2, 3)).isInstanceOf(IllegalStateException.class);
        }
    }
}
