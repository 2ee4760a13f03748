package dev.freshet.operator;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.memory.DataInputViewStreamWrapper;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.OperatorState;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.state.OperatorStateHandle;

/**
 * What a complete checkpoint or savepoint on disk holds of the sequences in flight.
 *
 * @param sequences how many
 * @param tokens tokens of prompts and outputs that the model had run, which a server without checkpoints runs again
 */
public record StoredSequences(int sequences, long tokens) {

    /** Reads the checkpoint of a URI. */
    public static StoredSequences in(String checkpoint) throws IOException {
        Path metadata = Path.of(URI.create(checkpoint)).resolve("_metadata");
        int sequences = 0;
        long tokens = 0;
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(Files.newInputStream(metadata)))) {
            CheckpointMetadata read =
                    Checkpoints.loadCheckpointMetadata(in, StoredSequences.class.getClassLoader(), checkpoint);
            for (OperatorState operator : read.getOperatorStates()) {
                for (OperatorSubtaskState subtask : operator.getStates()) {
                    for (OperatorStateHandle handle : subtask.getManagedOperatorState()) {
                        StoredSequences one = in(handle);
                        sequences += one.sequences;
                        tokens += one.tokens;
                    }
                }
            }
        }
        return new StoredSequences(sequences, tokens);
    }

    private static StoredSequences in(OperatorStateHandle handle) throws IOException {
        OperatorStateHandle.StateMetaInfo meta =
                handle.getStateNameToPartitionOffsets().get("sequences");
        if (meta == null || meta.getOffsets().length == 0) {
            return new StoredSequences(0, 0);
        }
        long tokens = 0;
        try (FSDataInputStream state = handle.openInputStream()) {
            for (long offset : meta.getOffsets()) {
                state.seek(offset);
                InFlight one = new InFlightSerializer().deserialize(new DataInputViewStreamWrapper(state));
                tokens += one.sequence().committed();
            }
        }
        return new StoredSequences(meta.getOffsets().length, tokens);
    }
}
