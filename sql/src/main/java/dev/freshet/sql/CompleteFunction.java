package dev.freshet.sql;

import dev.freshet.schema.Completion;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.functions.AsyncPredictFunction;
import org.apache.flink.table.functions.FunctionContext;
import org.jspecify.annotations.Nullable;

/**
 * {@code ML_PREDICT} of one subtask: rows that are in flight at the same time decode together. As many rows are in flight as
 * {@code table.exec.async-ml-predict.max-concurrent-operations} lets in. Equal prompts get equal texts, sampled ones too, so that
 * rows that Flink sends again after a failure have the answers they had.
 */
public final class CompleteFunction extends AsyncPredictFunction {

    private static final long serialVersionUID = 1L;
    private static final int ID_BYTES = 16;

    private final ModelSettings settings;
    private final List<OutputColumn> columns;
    private transient @Nullable EngineThread engine;

    CompleteFunction(ModelSettings settings, List<OutputColumn> columns) {
        this.settings = settings;
        this.columns = columns;
    }

    @Override
    public void open(FunctionContext context) {
        engine = EngineThread.start(settings);
    }

    @Override
    public CompletableFuture<Collection<RowData>> asyncPredict(RowData input) {
        EngineThread running = engine;
        if (running == null) {
            throw new IllegalStateException("The function is not open.");
        }
        // A row without a prompt is refused like an empty prompt, with a code and not with an exception.
        String prompt = input.isNullAt(0) ? "" : input.getString(0).toString();
        return running.complete(settings.request(id(prompt), prompt)).thenApply(this::row);
    }

    private Collection<RowData> row(Completion completion) {
        return List.of(OutputColumn.row(columns, completion));
    }

    /** An id that follows from the prompt: the seed of a request without one is derived from its id. */
    private static String id(String prompt) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(prompt.getBytes(StandardCharsets.UTF_8));
            return "sql-" + HexFormat.of().formatHex(hash, 0, ID_BYTES);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java has SHA-256.", e);
        }
    }

    @Override
    public void close() throws InterruptedException {
        if (engine != null) {
            engine.close();
        }
    }
}
