package dev.freshet.tensor;

import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ShortBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One safetensors file, opened read-only and mapped into memory. Everything the header says is checked against the real length
 * of the file before anything is allocated for it. The methods may be called from any thread.
 */
public final class SafetensorsFile implements AutoCloseable {

    private static final int PREFIX = Long.BYTES;
    private static final long WINDOW = 1L << 30;
    private static final String DOWNLOAD = "Download the file again.";

    private final Path file;
    private final SafetensorsHeader header;
    private final long window;
    private volatile ByteBuffer @Nullable [] windows;

    private SafetensorsFile(Path file, SafetensorsHeader header, long window, ByteBuffer[] windows) {
        this.file = file;
        this.header = header;
        this.window = window;
        this.windows = windows;
    }

    /**
     * Opens and checks a file.
     *
     * @throws ConfigError naming the file and, where there is one, the tensor, when the file is missing or not acceptable
     */
    public static SafetensorsFile open(Path file) {
        return open(file, WINDOW);
    }

    /** Opens with another window size, so that a test can cross windows without gigabytes. */
    static SafetensorsFile open(Path file, long window) {
        if (!Files.isRegularFile(file)) {
            throw WeightsError.of(file, "expected a safetensors file, got none", "Check the model directory.");
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long length = channel.size();
            byte[] json = readHeader(file, channel, length);
            long dataStart = PREFIX + json.length;
            SafetensorsHeader header = SafetensorsHeader.parse(file, json, length - dataStart);
            return new SafetensorsFile(file, header, window, map(channel, dataStart, length, window));
        } catch (IOException e) {
            throw WeightsError.of(
                    file, "expected a readable file, got " + e.getClass().getSimpleName(), "Check its permissions.", e);
        }
    }

    private static byte[] readHeader(Path file, FileChannel channel, long length) throws IOException {
        if (length < PREFIX) {
            throw WeightsError.of(file, "expected at least " + PREFIX + " bytes, got " + length, DOWNLOAD);
        }
        long size = read(channel, 0, PREFIX).getLong(0);
        if (size < 0 || size > SafetensorsHeader.MAX_BYTES) {
            throw WeightsError.of(
                    file,
                    "expected a header of at most " + SafetensorsHeader.MAX_BYTES + " bytes, got "
                            + Long.toUnsignedString(size),
                    "Check that it is a safetensors file.");
        }
        if (size > length - PREFIX) {
            throw WeightsError.of(
                    file, "expected a header of " + size + " bytes, got a file of " + length + " bytes", DOWNLOAD);
        }
        return read(channel, PREFIX, (int) size).array();
    }

    private static ByteBuffer read(FileChannel channel, long position, int count) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(count).order(ByteOrder.LITTLE_ENDIAN);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, position + buffer.position()) < 0) {
                throw new IOException("the file became shorter");
            }
        }
        return buffer;
    }

    // Each window overlaps the next by one element, so that an element never straddles two maps.
    private static ByteBuffer[] map(FileChannel channel, long start, long end, long window) throws IOException {
        ByteBuffer[] maps = new ByteBuffer[Math.toIntExact((end - start + window - 1) / window)];
        for (int i = 0; i < maps.length; i++) {
            long from = start + i * window;
            long size = Math.min(window + Long.BYTES, end - from);
            maps[i] = channel.map(FileChannel.MapMode.READ_ONLY, from, size);
        }
        return maps;
    }

    /** Where the file lies. */
    public Path path() {
        return file;
    }

    /** Names of all tensors, in the order of the header. */
    public Set<String> names() {
        return Collections.unmodifiableSet(header.tensors().keySet());
    }

    /** The header's string map, empty when there is none. */
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(header.metadata());
    }

    /** Whether a tensor of this name exists. */
    public boolean has(String name) {
        return header.tensors().containsKey(name);
    }

    /**
     * Describes a tensor.
     *
     * @throws ConfigError when there is none of this name
     */
    public TensorInfo info(String name) {
        TensorInfo info = header.tensors().get(name);
        if (info == null) {
            throw WeightsError.of(
                    file,
                    "expected tensor " + WeightsError.shown(name) + ", got none of that name",
                    "Check that config.json belongs to these weights.");
        }
        return info;
    }

    /**
     * Reads consecutive elements as floats.
     *
     * @param name tensor of type F32, F16 or BF16
     * @param firstElement first element, counted over the flattened tensor
     * @param out overwritten from outOffset on, count elements
     * @throws ConfigError when the tensor is missing or of another type
     * @throws IndexOutOfBoundsException when the range leaves the tensor or the array
     */
    public void readFloats(String name, long firstElement, float[] out, int outOffset, int count) {
        TensorInfo info = info(name);
        if (!info.dtype().readsAsFloat()) {
            throw WeightsError.of(
                    file,
                    "tensor " + WeightsError.shown(name) + " expected F32, F16 or BF16, got " + info.describe(),
                    "Convert the weights to one of these types.");
        }
        Objects.checkFromIndexSize(firstElement, count, info.elements());
        Objects.checkFromIndexSize(outOffset, count, out.length);
        ByteBuffer[] maps = windows;
        if (maps == null) {
            throw new IllegalStateException("weights file is closed");
        }
        int size = info.dtype().bytes();
        long at = info.begin() + firstElement * size;
        int done = 0;
        while (done < count) {
            int index = (int) (at / window);
            int within = (int) (at % window);
            // An element that begins in this window ends in it, thanks to the overlap.
            int fit = (int) Math.min(count - done, (window - within + size - 1) / size);
            ByteBuffer bytes = maps[index].slice(within, fit * size).order(ByteOrder.LITTLE_ENDIAN);
            convert(info.dtype(), bytes, out, outOffset + done, fit);
            done += fit;
            at += (long) fit * size;
        }
    }

    private static void convert(DType dtype, ByteBuffer bytes, float[] out, int outOffset, int count) {
        if (dtype == DType.F32) {
            bytes.asFloatBuffer().get(0, out, outOffset, count);
            return;
        }
        ShortBuffer halves = bytes.asShortBuffer();
        if (dtype == DType.BF16) {
            for (int i = 0; i < count; i++) {
                out[outOffset + i] = HalfPrecision.fromBf16(halves.get(i));
            }
        } else {
            for (int i = 0; i < count; i++) {
                out[outOffset + i] = HalfPrecision.fromF16(halves.get(i));
            }
        }
    }

    /**
     * Reads a whole tensor.
     *
     * @param expectedShape dimensions that the caller needs
     * @return [product of expectedShape] values
     * @throws ConfigError when the tensor is missing, of another shape or type, or too large for one array
     */
    public float[] floats(String name, long... expectedShape) {
        TensorInfo info = info(name);
        if (!info.hasShape(expectedShape)) {
            throw WeightsError.of(
                    file,
                    "tensor " + WeightsError.shown(name) + " expected " + Arrays.toString(expectedShape) + ", got "
                            + info.describe(),
                    "Check that config.json belongs to these weights.");
        }
        if (info.elements() > Integer.MAX_VALUE - 8) {
            throw WeightsError.of(
                    file,
                    "tensor " + WeightsError.shown(name) + " expected fewer than 2^31 elements, got " + info.describe(),
                    "Read it in parts.");
        }
        float[] out = new float[(int) info.elements()];
        readFloats(name, 0, out, 0, out.length);
        return out;
    }

    /** Lets go of the maps; the address space returns when the garbage collector has seen them. */
    @Override
    public void close() {
        windows = null;
    }
}
