package dev.freshet.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.freshet.request.ConfigError;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Hand-made broken files; each is refused with one sentence that names what is wrong. */
class SafetensorsMutantsTest {

    private static final String A = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
    private static final String B = "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}";

    @TempDir
    Path folder;

    private static byte[] good() {
        return json("{" + A + "," + B + "}", 16);
    }

    private static byte[] json(String header, int dataBytes) {
        return SafetensorsWriter.file(header, new byte[dataBytes]);
    }

    /** A file with one tensor entry made of these parts over 8 data bytes. */
    private static byte[] entry(String dtype, String shape, String offsets) {
        return json("{\"a\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}", 8);
    }

    private static byte[] withLength(byte[] file, long length) {
        byte[] out = file.clone();
        ByteBuffer.wrap(out).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
        return out;
    }

    private static byte[] withByte(byte[] file, int at, int value) {
        byte[] out = file.clone();
        out[at] = (byte) value;
        return out;
    }

    private static byte[] manyTensors(int count) {
        StringBuilder header = new StringBuilder("{");
        for (int i = 0; i < count; i++) {
            header.append(i == 0 ? "" : ",")
                    .append("\"t")
                    .append(i)
                    .append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
        }
        return json(header.append('}').toString(), 0);
    }

    static Stream<Arguments> brokenFiles() {
        byte[] good = good();
        int header = good.length - 16 - 8;
        return Stream.of(
                Arguments.of("empty file", new byte[0], "at least 8 bytes, got 0"),
                Arguments.of("seven bytes", Arrays.copyOf(good, 7), "at least 8 bytes, got 7"),
                Arguments.of("length alone", Arrays.copyOf(good, 8), "got a file of 8 bytes"),
                Arguments.of("cut in the header", Arrays.copyOf(good, 40), "got a file of 40 bytes"),
                Arguments.of("cut in the data", Arrays.copyOf(good, good.length - 1), "within the 15 data bytes"),
                Arguments.of("no data", Arrays.copyOf(good, good.length - 16), "within the 0 data bytes"),
                Arguments.of("one trailing byte", Arrays.copyOf(good, good.length + 1), "expected 16 data bytes"),
                Arguments.of("a trailing page", Arrays.copyOf(good, good.length + 4096), "expected 16 data bytes"),
                Arguments.of("length zero", withLength(good, 0), "start with '{'"),
                Arguments.of("length too small", withLength(good, header - 16), "strict JSON"),
                Arguments.of("length into the data", withLength(good, header + 8), "within the 8 data bytes"),
                Arguments.of("length past the end", withLength(good, good.length), "got a file of"),
                Arguments.of("length -1", withLength(good, -1), "got 18446744073709551615"),
                Arguments.of("length most negative", withLength(good, Long.MIN_VALUE), "at most 8388608 bytes"),
                Arguments.of("length 100 MB", withLength(good, 100_000_000), "at most 8388608 bytes, got 100000000"),
                Arguments.of("length 2^32 more", withLength(good, header + (1L << 32)), "at most 8388608 bytes"),
                Arguments.of("header of 8 MiB + 1", withLength(good, (8 << 20) + 1), "at most 8388608 bytes"),
                Arguments.of("array header", json("[" + A + "]", 8), "start with '{'"),
                Arguments.of("leading space", json(" {" + A + "}", 8), "start with '{'"),
                Arguments.of("byte order mark", json("\uFEFF{" + A + "}", 8), "start with '{'"),
                Arguments.of("not JSON", json("{tensors}", 0), "strict JSON"),
                Arguments.of("unclosed object", json("{" + A, 8), "strict JSON"),
                Arguments.of("trailing comma", json("{" + A + ",}", 8), "strict JSON"),
                Arguments.of("comment", json("{" + A + "/* x */}", 8), "strict JSON"),
                Arguments.of("second object", json("{" + A + "}{}", 8), "end after its object"),
                Arguments.of("padding of NUL", withByte(json("{" + A + "} ", 8), 8 + A.length() + 2, 0), "strict JSON"),
                Arguments.of("invalid UTF-8", withByte(good, 10, 0xff), "UTF-8"),
                Arguments.of("overlong UTF-8", withByte(withByte(good, 9, 0xc0), 10, 0xa2), "UTF-8"),
                Arguments.of("duplicate tensor", json("{" + A + "," + A + "}", 8), "Duplicate"),
                Arguments.of(
                        "duplicate escaped",
                        json("{" + A + "," + A.replace("\"a\"", "\"\\u0061\"") + "}", 8),
                        "Duplicate"),
                Arguments.of(
                        "duplicate key in an entry",
                        json("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8),
                        "Duplicate"),
                Arguments.of(
                        "duplicate metadata key",
                        json("{\"__metadata__\":{\"x\":\"1\",\"x\":\"2\"}," + A + "}", 8),
                        "Duplicate"),
                Arguments.of(
                        "metadata twice", json("{\"__metadata__\":{},\"__metadata__\":{}," + A + "}", 8), "Duplicate"),
                Arguments.of("metadata of numbers", json("{\"__metadata__\":{\"x\":1}," + A + "}", 8), "__metadata__"),
                Arguments.of("metadata nested", json("{\"__metadata__\":{\"x\":{}}," + A + "}", 8), "__metadata__"),
                Arguments.of("metadata a list", json("{\"__metadata__\":[]," + A + "}", 8), "__metadata__"));
    }

    static Stream<Arguments> brokenEntries() {
        return Stream.of(
                Arguments.of("entry a number", json("{\"a\":1}", 0), "tensor a expected START_OBJECT"),
                Arguments.of("entry null", json("{\"a\":null}", 0), "tensor a expected START_OBJECT"),
                Arguments.of("entry empty", json("{\"a\":{}}", 0), "dtype, shape and two data_offsets"),
                Arguments.of(
                        "no dtype", json("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8), "an entry without them"),
                Arguments.of(
                        "no shape",
                        json("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8),
                        "an entry without them"),
                Arguments.of(
                        "no offsets", json("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8), "an entry without them"),
                Arguments.of(
                        "unknown key",
                        json("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":{}}}", 8),
                        "data_offsets, got x"),
                Arguments.of("unknown dtype", entry("\"F31\"", "[2]", "[0,8]"), "got F31"),
                Arguments.of("lower-case dtype", entry("\"f32\"", "[2]", "[0,8]"), "got f32"),
                Arguments.of("dtype a number", entry("32", "[2]", "[0,8]"), "dtype of tensor a"),
                Arguments.of("dtype of other width", entry("\"F16\"", "[2]", "[0,8]"), "expected 4 bytes"),
                Arguments.of("shape too large", entry("\"F32\"", "[3]", "[0,8]"), "expected 12 bytes"),
                Arguments.of("shape too small", entry("\"F32\"", "[1]", "[0,8]"), "expected 4 bytes"),
                Arguments.of(
                        "huge shape", entry("\"F32\"", "[4000000000000]", "[0,8]"), "expected 16000000000000 bytes"),
                Arguments.of(
                        "product overflows to 8", entry("\"F32\"", "[4611686018427387904,4,2]", "[0,8]"), "below 2^63"),
                Arguments.of(
                        "product overflows to 0", entry("\"F32\"", "[4294967296,4294967296]", "[0,8]"), "below 2^63"),
                Arguments.of("dimension beyond 64 bits", entry("\"F32\"", "[99999999999999999999]", "[0,8]"), "JSON"),
                Arguments.of("negative dimension", entry("\"F32\"", "[-2]", "[0,8]"), "no negative number in shape"),
                Arguments.of("two negatives", entry("\"F32\"", "[-1,-2]", "[0,8]"), "no negative number in shape"),
                Arguments.of("fractional dimension", entry("\"F32\"", "[2.0]", "[0,8]"), "shape of tensor a"),
                Arguments.of("dimension a string", entry("\"F32\"", "[\"2\"]", "[0,8]"), "shape of tensor a"),
                Arguments.of("dimension null", entry("\"F32\"", "[null]", "[0,8]"), "shape of tensor a"),
                Arguments.of("nested shape", entry("\"F32\"", "[[2]]", "[0,8]"), "shape of tensor a"),
                Arguments.of("shape a number", entry("\"F32\"", "2", "[0,8]"), "shape of tensor a"),
                Arguments.of("nine dimensions", entry("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), "at most 8 numbers"),
                Arguments.of("one offset", entry("\"F32\"", "[2]", "[8]"), "two data_offsets"),
                Arguments.of("three offsets", entry("\"F32\"", "[2]", "[0,4,8]"), "at most 2 numbers"),
                Arguments.of("offsets swapped", entry("\"F32\"", "[2]", "[8,0]"), "within the 8 data bytes"),
                Arguments.of(
                        "offset negative", entry("\"F32\"", "[2]", "[-8,0]"), "no negative number in data_offsets"),
                Arguments.of("offset past the end", entry("\"F32\"", "[2]", "[8,16]"), "within the 8 data bytes"),
                Arguments.of(
                        "offset near 2^63",
                        entry("\"F32\"", "[2]", "[9223372036854775799,9223372036854775807]"),
                        "within the 8 data bytes"),
                Arguments.of("overlap", json("{" + A + "," + B.replace("[8,16]", "[4,12]") + "}", 12), "an overlap"),
                Arguments.of(
                        "same bytes twice", json("{" + A + "," + B.replace("[8,16]", "[0,8]") + "}", 8), "an overlap"),
                Arguments.of("hole", json("{" + A + "," + B.replace("[8,16]", "[12,20]") + "}", 20), "a hole"),
                Arguments.of("hole at the start", json("{" + A.replace("[0,8]", "[4,12]") + "}", 12), "a hole"),
                Arguments.of(
                        "empty tensor beyond the data",
                        json("{" + A + ",\"z\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[12,12]}}", 8),
                        "within the 8 data bytes"),
                Arguments.of("data without tensors", json("{}", 8), "expected 0 data bytes"),
                Arguments.of("100,000 tensors", manyTensors(100_000), "at most 65536 tensors"),
                Arguments.of("one tensor too many", manyTensors(65_537), "at most 65536 tensors"),
                Arguments.of(
                        "deep nesting",
                        json("{\"a\":" + "[".repeat(2000) + "]".repeat(2000) + "}", 0),
                        "tensor a expected START_OBJECT"),
                Arguments.of(
                        "pickle", "\u0080\u0002}q\u0000.".getBytes(StandardCharsets.ISO_8859_1), "at least 8 bytes"),
                Arguments.of(
                        "text file",
                        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n".getBytes(StandardCharsets.UTF_8),
                        "header of at most"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource({"brokenFiles", "brokenEntries"})
    void isRefusedInOneSentence(String name, byte[] bytes, String expected) throws Exception {
        Path file = folder.resolve("model.safetensors");
        Files.write(file, bytes);
        Throwable thrown = catchThrowable(() -> SafetensorsFile.open(file).close());
        assertThat(thrown).as(name).isInstanceOf(ConfigError.class);
        assertThat(thrown)
                .hasMessageStartingWith("Cannot read weights: ")
                .hasMessageContaining("expected")
                .hasMessageContaining("got")
                .hasMessageContaining("model.safetensors")
                .hasMessageContaining(expected);
        assertThat(thrown.getMessage())
                .hasSizeLessThan(800)
                .doesNotContain("\n")
                .endsWith(".");
    }

    @Test
    void theUnmutatedFileIsAccepted() throws Exception {
        Path file = folder.resolve("model.safetensors");
        Files.write(file, good());
        try (SafetensorsFile weights = SafetensorsFile.open(file)) {
            assertThat(weights.names()).containsExactly("a", "b");
        }
    }

    @Test
    void asManyTensorsAsAllowedAreAccepted() throws Exception {
        Path file = folder.resolve("model.safetensors");
        Files.write(file, manyTensors(65_536));
        try (SafetensorsFile weights = SafetensorsFile.open(file)) {
            assertThat(weights.names()).hasSize(65_536);
        }
    }

    @Test
    void missingFileAndFolderAreRefused() {
        for (Path path : new Path[] {folder, folder.resolve("none.safetensors")}) {
            assertThat(catchThrowable(() -> SafetensorsFile.open(path)))
                    .isInstanceOf(ConfigError.class)
                    .hasMessageContaining("expected a safetensors file, got none");
        }
    }

    @Test
    void hostileNamesAreShownWithoutControlCharacters() throws Exception {
        Path file = folder.resolve("model.safetensors");
        Files.write(file, json("{\"\\u001b[2J\\n" + "x".repeat(10_000) + "\":1}", 0));
        Throwable thrown = catchThrowable(() -> SafetensorsFile.open(file));
        assertThat(thrown).isInstanceOf(ConfigError.class).hasMessageContaining("tensor ?[2J?xxx");
        assertThat(thrown.getMessage()).hasSizeLessThan(600);
    }
}
