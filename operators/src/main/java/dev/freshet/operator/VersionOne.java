package dev.freshet.operator;

import java.io.IOException;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Reads what version 1 stored: one array of bytes for each sequence, made by the task thread. It is written no more. */
final class VersionOne implements SimpleVersionedSerializer<InFlight> {

    @Override
    public int getVersion() {
        return 1;
    }

    @Override
    public byte[] serialize(InFlight record) {
        throw new UnsupportedOperationException("Version 1 is read, never written.");
    }

    @Override
    public InFlight deserialize(int version, byte[] bytes) throws IOException {
        return InFlightSerializer.deserialize(version, bytes);
    }
}
