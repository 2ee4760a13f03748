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

    private transient EnvelopeBytes.@Nullable Avro<Prompt> prompts;
    private transient EnvelopeBytes.@Nullable Avro<DeadLetter> letters;

    @Override
    void write(Inbound record, ByteWriter out) {
        if (record instanceof Inbound.Prompt prompt) {
            out.flag(true);
            prompts().write(prompt.request(), out);
            out.bytes(prompt.value());
            EnvelopeBytes.write(prompt.origin(), out);
        } else {
            out.flag(false);
            letters().write(((Inbound.Rejected) record).letter(), out);
        }
    }

    @Override
    Inbound read(ByteReader in) throws IOException {
        if (in.flag()) {
            Prompt request = prompts().read(in);
            return new Inbound.Prompt(request, in.presentBytes(), EnvelopeBytes.readOrigin(in));
        }
        return new Inbound.Rejected(letters().read(in));
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
