package dev.freshet.operator;

import dev.freshet.engine.Continuation;
import dev.freshet.engine.SequenceState;
import java.io.EOFException;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * The stored form of {@link Conversation}: a version, then its tokens, then the model's state, as {@link SealedParts}. Stored bytes
 * are not trusted: a damaged state is dropped, the model then runs the tokens again for the same text; damaged tokens make the
 * session {@link Conversation#UNREADABLE}, which its next turn is told. Every released version stays readable.
 */
public final class ConversationSerializer extends ImmutableSerializer<Conversation> {

    static final int VERSION = 1;

    private static final long serialVersionUID = 1L;

    @Override
    public void serialize(Conversation record, DataOutputView target) throws IOException {
        target.writeInt(VERSION);
        Continuation end = record.end();
        SealedParts.write(
                new ByteWriter()
                        .text(record.model())
                        .int32(record.turns())
                        .ints(end.ids())
                        .int32(end.committed())
                        .toBytes(),
                target);
        SealedParts.writeState(end.state(), target);
    }

    @Override
    public Conversation deserialize(DataInputView source) throws IOException {
        int version = source.readInt();
        if (version != VERSION) {
            throw new IOException("Cannot restore a session: expected a state version of " + VERSION + ", got "
                    + version + ". Run the Freshet that wrote the checkpoint, or a newer one.");
        }
        ByteReader tokens = null;
        SequenceState state = null;
        try {
            tokens = SealedParts.read(source);
            state = tokens == null ? null : SealedParts.readState(source);
        } catch (EOFException e) {
            // The end is missing: what was read before it stands.
            state = null;
        }
        if (tokens == null) {
            return Conversation.UNREADABLE;
        }
        String model = tokens.presentText();
        int turns = tokens.int32();
        int[] ids = tokens.ints();
        int committed = tokens.int32();
        tokens.end();
        return new Conversation(model, turns, new Continuation(ids, committed, state));
    }

    @Override
    public void copy(DataInputView source, DataOutputView target) throws IOException {
        serialize(deserialize(source), target);
    }

    @Override
    public ConversationSerializer duplicate() {
        // Without fields, so that threads may share it.
        return this;
    }

    @Override
    public TypeSerializerSnapshot<Conversation> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Tells a checkpoint how to make this serializer again. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Conversation> {
        public Snapshot() {
            super(ConversationSerializer::new);
        }
    }
}
