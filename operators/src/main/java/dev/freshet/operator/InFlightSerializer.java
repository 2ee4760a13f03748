package dev.freshet.operator;

import dev.freshet.engine.SequenceState;
import java.io.EOFException;
import java.io.IOException;
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

    static final int VERSION = 3;

    private static final long serialVersionUID = 1L;

    @Override
    public void serialize(InFlight record, DataOutputView target) throws IOException {
        target.writeInt(VERSION);
        SealedParts.write(InFlightParts.request(record), target);
        SealedParts.write(InFlightParts.progress(record), target);
        SealedParts.writeState(record.sequence().state(), target);
    }

    @Override
    public InFlight deserialize(DataInputView source) throws IOException {
        int version = source.readInt();
        if (version < 1 || version > VERSION) {
            throw unknown(version);
        }
        ByteReader request = request(SealedParts.read(source));
        ByteReader progress = null;
        SequenceState state = null;
        try {
            progress = SealedParts.read(source);
            state = progress == null || version == 1 ? null : SealedParts.readState(source);
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
        boolean known = SealedParts.checksum(request) == in.int32();
        byte[] progress = in.presentBytes();
        boolean usable = SealedParts.checksum(progress) == in.int32();
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
