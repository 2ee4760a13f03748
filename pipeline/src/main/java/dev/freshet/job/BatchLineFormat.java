package dev.freshet.job;

import java.io.IOException;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.src.reader.SimpleStreamFormat;
import org.apache.flink.connector.file.src.reader.StreamFormat;
import org.apache.flink.core.fs.FSDataInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads a batch file for Flink's file source as {@link BatchInput} does: number, bytes, and whether the line is too long. A file is read by
 * one reader from its beginning, since a line is known by its number.
 */
final class BatchLineFormat extends SimpleStreamFormat<Tuple3<Long, byte[], Boolean>> {

    private static final long serialVersionUID = 1L;

    @Override
    public StreamFormat.Reader<Tuple3<Long, byte[], Boolean>> createReader(
            Configuration configuration, FSDataInputStream stream) throws IOException {
        return new Lines(new BatchInput(stream, BatchRequests.LINE_BYTES));
    }

    @Override
    public TypeInformation<Tuple3<Long, byte[], Boolean>> getProducedType() {
        return Types.TUPLE(Types.LONG, Types.PRIMITIVE_ARRAY(Types.BYTE), Types.BOOLEAN);
    }

    private record Lines(BatchInput input) implements StreamFormat.Reader<Tuple3<Long, byte[], Boolean>> {

        @Override
        public @Nullable Tuple3<Long, byte[], Boolean> read() throws IOException {
            BatchInput.Line line = input.next();
            return line == null ? null : Tuple3.of(line.number(), line.bytes(), line.tooLong());
        }

        @Override
        public void close() throws IOException {
            input.close();
        }
    }
}
