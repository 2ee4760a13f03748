package dev.freshet.operator;

import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.RecordType;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.jspecify.annotations.Nullable;

/** Carries {@link Inbound} when source and operator are not chained. Confined to one thread. */
public final class InboundSerializer extends RecordSerializer<Inbound> {

    private static final long serialVersionUID = 1L;
    private static final int PROMPT = 0;
    private static final int REJECTED = 1;
    private static final int CANCEL = 2;

    private transient EnvelopeBytes.@Nullable Avro<Prompt> prompts;
    private transient EnvelopeBytes.@Nullable Avro<DeadLetter> letters;

    @Override
    void write(Inbound record, ByteWriter out) {
        if (record instanceof Inbound.Prompt prompt) {
            out.int32(PROMPT);
            prompts().write(prompt.request(), out);
            out.bytes(prompt.value());
            EnvelopeBytes.write(prompt.origin(), out);
        } else if (record instanceof Inbound.Rejected rejected) {
            out.int32(REJECTED);
            letters().write(rejected.letter(), out);
        } else {
            out.int32(CANCEL).text(((Inbound.Cancel) record).id());
        }
    }

    @Override
    Inbound read(ByteReader in) throws IOException {
        int kind = in.int32();
        switch (kind) {
            case PROMPT:
                Prompt request = prompts().read(in);
                return new Inbound.Prompt(request, in.presentBytes(), EnvelopeBytes.readOrigin(in));
            case REJECTED:
                return new Inbound.Rejected(letters().read(in));
            case CANCEL:
                return new Inbound.Cancel(in.presentText());
            default:
                throw new IOException("Cannot read a record between operators: expected a kind from 0 to 2, got " + kind
                        + ". Restore an older checkpoint.");
        }
    }

    private EnvelopeBytes.Avro<Prompt> prompts() {
        if (prompts == null) {
            prompts = new EnvelopeBytes.Avro<>(RecordType.PROMPT);
        }
        return prompts;
    }

    private EnvelopeBytes.Avro<DeadLetter> letters() {
        if (letters == null) {
            letters = new EnvelopeBytes.Avro<>(RecordType.DEAD_LETTER);
        }
        return letters;
    }

    @Override
    public InboundSerializer duplicate() {
        return new InboundSerializer();
    }

    @Override
    public TypeSerializerSnapshot<Inbound> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Tells a checkpoint how to make this serializer again. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Inbound> {
        public Snapshot() {
            super(InboundSerializer::new);
        }
    }
}
