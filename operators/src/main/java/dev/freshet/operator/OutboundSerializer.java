package dev.freshet.operator;

import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.wire.RecordType;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.jspecify.annotations.Nullable;

/** Carries {@link Outbound} when operator and sink are not chained. Confined to one thread. */
public final class OutboundSerializer extends RecordSerializer<Outbound> {

    private static final long serialVersionUID = 1L;

    private transient EnvelopeBytes.@Nullable Avro<Completion> completions;
    private transient EnvelopeBytes.@Nullable Avro<DeadLetter> letters;

    @Override
    void write(Outbound record, ByteWriter out) {
        if (record instanceof Outbound.Completed completed) {
            out.flag(true);
            completions().write(completed.completion(), out);
            out.text(completed.key());
            EnvelopeBytes.write(completed.origin(), out);
        } else {
            out.flag(false);
            letters().write(((Outbound.DeadLettered) record).letter(), out);
        }
    }

    @Override
    Outbound read(ByteReader in) throws IOException {
        if (in.flag()) {
            Completion completion = completions().read(in);
            return new Outbound.Completed(completion, in.presentText(), EnvelopeBytes.readOrigin(in));
        }
        return new Outbound.DeadLettered(letters().read(in));
    }

    private EnvelopeBytes.Avro<Completion> completions() {
        if (completions == null) {
            completions = new EnvelopeBytes.Avro<>(RecordType.COMPLETION);
        }
        return completions;
    }

    private EnvelopeBytes.Avro<DeadLetter> letters() {
        if (letters == null) {
            letters = new EnvelopeBytes.Avro<>(RecordType.DEAD_LETTER);
        }
        return letters;
    }

    @Override
    public OutboundSerializer duplicate() {
        return new OutboundSerializer();
    }

    @Override
    public TypeSerializerSnapshot<Outbound> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Tells a checkpoint how to make this serializer again. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Outbound> {
        public Snapshot() {
            super(OutboundSerializer::new);
        }
    }
}
