package dev.freshet.operator;

import dev.freshet.engine.SequenceState;
import java.io.EOFException;
import java.io.IOException;
import java.util.zip.CRC32C;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.jspecify.annotations.Nullable;

/**
 * The stored form of {@link InFlight}: a version, then the request, its progress, a description of the state, each with its length
 * in front and a CRC32C behind, then the state's floats with a CRC32C behind. The bytes are written when Flink writes the checkpoint,
 * off the task thread.
 *
 * <p>Restored bytes are not trusted. A damaged state is dropped, the model then runs the tokens again; a damaged progress is dropped
 * with the state, the text then begins again from the prompt; both give the same text. A damaged request fails the restore. Every
 * released version stays readable.
 */
public final class InFlightSerializer extends ImmutableSerializer<InFlight> {

    static final int VERSION = 2;

    private static final long serialVersionUID = 1L;

    /** Longest part that is read back, the state's floats apart: far above what a source lets in, far below what could hurt. */
    private static final int LARGEST = 64 << 20;

    @Override
    public void serialize(InFlight record, DataOutputView target) throws IOException {
        target.writeInt(VERSION);
        sealed(InFlightParts.request(record), target);
        sealed(InFlightParts.progress(record), target);
        SequenceState state = record.sequence().state();
        sealed(description(state), target);
        if (state != null) {
            FloatBlocks out = new FloatBlocks();
            out.write(state.values(), target);
            if (state.hidden() != null) {
                out.write(state.hidden(), target);
            }
            target.writeInt(out.checksum());
        }
    }

    private static byte[] description(@Nullable SequenceState state) {
        ByteWriter out = new ByteWriter();
        out.flag(state != null);
        if (state != null) {
            out.text(state.model())
                    .int32(state.values().length)
                    .int32(state.hidden() == null ? -1 : state.hidden().length);
        }
        return out.toBytes();
    }

    @Override
    public InFlight deserialize(DataInputView source) throws IOException {
        int version = source.readInt();
        if (version < 1 || version > VERSION) {
            throw unknown(version);
        }
        ByteReader request = request(unsealed(source));
        ByteReader progress = null;
        SequenceState state = null;
        try {
            progress = unsealed(source);
            state = progress == null || version == 1 ? null : state(source);
        } catch (EOFException e) {
            // The end is missing: what was read before it stands.
            state = null;
        }
        InFlight read = InFlightParts.read(version, request, progress);
        return state == null ? read : read.withState(state);
    }

    /** Reads a sequence as version 1 stored it, in bytes of their own. */
    static InFlight deserialize(int version, byte[] bytes) throws IOException {
        if (version != 1) {
            throw unknown(version);
        }
        ByteReader in = new ByteReader(bytes);
        byte[] request = in.presentBytes();
        boolean known = checksum(request) == in.int32();
        byte[] progress = in.presentBytes();
        boolean usable = checksum(progress) == in.int32();
        in.end();
        return InFlightParts.read(
                1, request(known ? new ByteReader(request) : null), usable ? new ByteReader(progress) : null);
    }

    private static ByteReader request(@Nullable ByteReader request) throws IOException {
        if (request == null) {
            throw new IOException(
                    "Cannot restore a sequence: expected the checksum of its request to match, got another."
                            + " Restore an older checkpoint.");
        }
        return request;
    }

    private static IOException unknown(int version) {
        return new IOException("Cannot restore a sequence: expected a state version from 1 to " + VERSION + ", got "
                + version + ". Run the Freshet that wrote the checkpoint, or a newer one.");
    }

    /** Reads the state, or returns null when there is none to be trusted. */
    private static @Nullable SequenceState state(DataInputView source) throws IOException {
        ByteReader in = unsealed(source);
        if (in == null || !in.flag()) {
            return null;
        }
        String model = in.presentText();
        float[] values = new float[in.int32()];
        int length = in.int32();
        in.end();
        float[] hidden = length < 0 ? null : new float[length];
        FloatBlocks blocks = new FloatBlocks();
        blocks.read(source, values);
        if (hidden != null) {
            blocks.read(source, hidden);
        }
        return blocks.checksum() == source.readInt() ? new SequenceState(model, values, hidden) : null;
    }

    private static void sealed(byte[] part, DataOutputView target) throws IOException {
        target.writeInt(part.length);
        target.write(part);
        target.writeInt(checksum(part));
    }

    /** Reads a part, or returns null when it is not what was written. */
    private static @Nullable ByteReader unsealed(DataInputView source) throws IOException {
        int length = source.readInt();
        if (length < 0 || length > LARGEST) {
            return null;
        }
        byte[] part = new byte[length];
        source.readFully(part);
        return checksum(part) == source.readInt() ? new ByteReader(part) : null;
    }

    private static int checksum(byte[] part) {
        CRC32C crc = new CRC32C();
        crc.update(part);
        return (int) crc.getValue();
    }

    @Override
    public void copy(DataInputView source, DataOutputView target) throws IOException {
        serialize(deserialize(source), target);
    }

    @Override
    public InFlightSerializer duplicate() {
        // Without fields, so that threads may share it.
        return this;
    }

    @Override
    public TypeSerializerSnapshot<InFlight> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Tells a checkpoint how to make this serializer again. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<InFlight> {
        public Snapshot() {
            super(InFlightSerializer::new);
        }
    }
}
