package dev.freshet.sql;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Usage;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.ResolvedSchema;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.jspecify.annotations.Nullable;

/** What a column of a model's OUTPUT clause receives, which its name decides: any other name than these stands for the text. */
enum OutputColumn {
    /** The generated text; null when the request could not be served. */
    TEXT(LogicalTypeRoot.VARCHAR),
    /** Why it ended: stop, length, abort or error. */
    FINISH_REASON(LogicalTypeRoot.VARCHAR),
    /** Code of the error, null when there was none. */
    ERROR(LogicalTypeRoot.VARCHAR),
    /** Tokens of the prompt; null when the request was refused. */
    PROMPT_TOKENS(LogicalTypeRoot.BIGINT),
    /** Generated tokens; null when the request was refused. */
    COMPLETION_TOKENS(LogicalTypeRoot.BIGINT);

    private final LogicalTypeRoot type;

    OutputColumn(LogicalTypeRoot type) {
        this.type = type;
    }

    /**
     * Reads an OUTPUT clause.
     *
     * @throws ValidationException when a column has another type, or there is not exactly one for the text
     */
    static List<OutputColumn> of(ResolvedSchema output) {
        List<OutputColumn> columns = new ArrayList<>();
        for (Column column : output.getColumns()) {
            OutputColumn meaning = TEXT;
            for (OutputColumn one : values()) {
                if (one.name().equalsIgnoreCase(column.getName())) {
                    meaning = one;
                }
            }
            LogicalTypeRoot found = column.getDataType().getLogicalType().getTypeRoot();
            if (found != meaning.type) {
                throw new ValidationException("Cannot use the model: expected the type " + meaning.type
                        + " for the output column " + column.getName() + ", got " + found
                        + ". Write STRING for texts and BIGINT for counts of tokens.");
            }
            columns.add(meaning);
        }
        long texts = columns.stream().filter(column -> column == TEXT).count();
        if (texts != 1) {
            throw new ValidationException("Cannot use the model: expected one output column for the text, got " + texts
                    + ". Beside it OUTPUT may name finish_reason, error, prompt_tokens and completion_tokens.");
        }
        return columns;
    }

    private @Nullable Object value(Completion completion) {
        Usage usage = completion.getUsage();
        return switch (this) {
            case TEXT -> completion.getError() == null ? StringData.fromString(completion.getText()) : null;
            case FINISH_REASON -> StringData.fromString(completion.getFinishReason());
            case ERROR ->
                completion.getError() == null
                        ? null
                        : StringData.fromString(completion.getError().getCode());
            case PROMPT_TOKENS -> usage == null ? null : (long) usage.getPromptTokens();
            case COMPLETION_TOKENS -> usage == null ? null : (long) usage.getCompletionTokens();
        };
    }

    /** The row of an answer. */
    static RowData row(List<OutputColumn> columns, Completion completion) {
        GenericRowData row = new GenericRowData(columns.size());
        for (int i = 0; i < columns.size(); i++) {
            row.setField(i, columns.get(i).value(completion));
        }
        return row;
    }
}
