package dev.freshet.operator;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.OperatorStateStore;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.core.io.SimpleVersionedSerialization;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Reads what version 1 stored: one array of bytes for each sequence, made by the task thread. It is written no more. */
final class VersionOne implements SimpleVersionedSerializer<InFlight> {

    private static final String STATE = "in-flight";

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

    /** Takes the sequences out of the state of version 1, which held them as bytes under another name. */
    static List<InFlight> take(OperatorStateStore store) throws Exception {
        if (!store.getRegisteredStateNames().contains(STATE)) {
            return List.of();
        }
        ListState<byte[]> state =
                store.getListState(new ListStateDescriptor<>(STATE, BytePrimitiveArraySerializer.INSTANCE));
        List<InFlight> sequences = new ArrayList<>();
        for (byte[] bytes : state.get()) {
            sequences.add(SimpleVersionedSerialization.readVersionAndDeSerialize(new VersionOne(), bytes));
        }
        state.clear();
        return sequences;
    }
}
