package dev.freshet.job;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.operator.DirectoryModel;
import dev.freshet.operator.Outbound;
import dev.freshet.request.ErrorCode;
import dev.freshet.schema.Completion;
import dev.freshet.schema.DeadLetter;
import dev.freshet.schema.Failure;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import dev.freshet.wire.WireFormat;
import dev.freshet.wire.WireOptions;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Objects;
import org.apache.flink.api.common.serialization.Encoder;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.functions.sink.filesystem.BucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.SimpleVersionedStringSerializer;
import org.jspecify.annotations.Nullable;

/** Writes outcomes as the lines that a batch in one process would write, errors into a folder of their own. Confined to the task thread. */
final class BatchAnswers implements Encoder<Outbound> {

    private static final long serialVersionUID = 1L;

    private final DirectoryModel model;
    private final String fingerprint;
    private final long created;
    private final boolean metrics;
    private transient @Nullable RecordEncoder<Completion> encoder;
    private transient @Nullable String backend;

    /**
     * Creates an encoder.
     *
     * @param model what answers are signed with, beside its fingerprint
     * @param created when the batch began, epoch seconds
     * @param metrics whether answers carry their times
     */
    BatchAnswers(DirectoryModel model, String fingerprint, long created, boolean metrics) {
        this.model = model;
        this.fingerprint = fingerprint;
        this.created = created;
        this.metrics = metrics;
    }

    @Override
    public void encode(Outbound outcome, OutputStream stream) throws IOException {
        if (encoder == null) {
            encoder = WireFormat.of("json", WireOptions.defaults().withMaxBytes(BatchOutput.LONGEST))
                    .encoder(RecordType.COMPLETION, BatchOutput.RESULTS);
        }
        Completion completion = outcome instanceof Outbound.Completed completed
                ? completed.completion()
                : refusal(((Outbound.DeadLettered) outcome).letter());
        completion.setCreated(created);
        if (!metrics) {
            completion.setMetrics(null);
        }
        stream.write(encoder.encode(completion));
        stream.write('\n');
    }

    private Completion refusal(DeadLetter letter) {
        Completion c = new Completion();
        c.setId(letter.getRequestId() == null ? "" : letter.getRequestId());
        c.setText("");
        c.setFinishReason("error");
        c.setError(new Failure(
                letter.getCode(),
                letter.getField(),
                letter.getMessage(),
                ErrorCode.valueOf(letter.getCode()).status()));
        c.setModel(model.name());
        c.setModelFingerprint(fingerprint);
        c.setBackend(backend());
        c.setSourceTopic(letter.getTopic());
        c.setSourcePartition(letter.getPartition());
        c.setSourceOffset(letter.getOffset());
        return c;
    }

    /** Which kernels answer here; asked for once, and only when a refusal has to be signed. */
    private String backend() {
        if (backend == null) {
            try (Kernels kernels = KernelsProvider.select(model.kernels(), 1)) {
                backend = kernels.name();
            }
        }
        return Objects.requireNonNull(backend);
    }

    /** Errors apart from answers. */
    static final class Buckets implements BucketAssigner<Outbound, String> {

        private static final long serialVersionUID = 1L;

        @Override
        public String getBucketId(Outbound outcome, Context context) {
            boolean answer = outcome instanceof Outbound.Completed completed
                    && completed.completion().getError() == null;
            return answer ? BatchParts.RESULTS : BatchParts.ERRORS;
        }

        @Override
        public SimpleVersionedSerializer<String> getSerializer() {
            return SimpleVersionedStringSerializer.INSTANCE;
        }
    }
}
