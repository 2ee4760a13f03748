package dev.freshet.operator;

import dev.freshet.schema.TokenChunk;
import dev.freshet.wire.RecordType;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.jspecify.annotations.Nullable;

/** Carries {@link KeyedChunk} when operator and sink are not chained. Confined to one thread. */
public final class ChunkSerializer extends RecordSerializer<KeyedChunk> {

    private static final long serialVersionUID = 1L;

    private transient EnvelopeBytes.@Nullable Avro<TokenChunk> chunks;

    @Override
    void write(KeyedChunk record, ByteWriter out) {
        chunks().write(record.chunk(), out);
        out.text(record.key());
    }

    @Override
    KeyedChunk read(ByteReader in) throws IOException {
        TokenChunk chunk = chunks().read(in);
        return new KeyedChunk(in.presentText(), chunk);
    }

    private EnvelopeBytes.Avro<TokenChunk> chunks() {
        if (chunks == null) {
            chunks = new EnvelopeBytes.Avro<>(RecordType.TOKEN_CHUNK);
        }
        return chunks;
    }

    @Override
    public ChunkSerializer duplicate() {
        return new ChunkSerializer();
    }

    @Override
    public TypeSerializerSnapshot<KeyedChunk> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Tells a checkpoint how to make this serializer again. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<KeyedChunk> {
        public Snapshot() {
            super(ChunkSerializer::new);
        }
    }
}
