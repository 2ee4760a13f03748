package dev.freshet.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.operator.DirectoryModel;
import dev.freshet.operator.OfflineServing;
import dev.freshet.operator.ServedModel;
import dev.freshet.request.SpeculationMode;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** SQL on a MiniCluster with the real model: the example, and what a wrong model definition is told. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ModelSqlTest {

    private static final Path ROOT =
            Path.of(System.getProperty("freshet.root", "..")).toAbsolutePath().normalize();
    private static final String MODEL = ROOT.resolve("models/freshet-tiny").toString();

    private final TableEnvironment sql = TableEnvironment.create(EnvironmentSettings.inStreamingMode());

    @BeforeAll
    void oneSubtask() {
        sql.getConfig().set("parallelism.default", "1");
        sql.getConfig().set("table.exec.async-ml-predict.max-concurrent-operations", "32");
    }

    /** Runs the statements of a script and returns the rows of the last. */
    private List<Row> run(String script) throws Exception {
        List<Row> rows = new ArrayList<>();
        for (String statement : script.replaceAll("(?m)^--.*$", "").split(";\\s*\n")) {
            if (!statement.isBlank()) {
                TableResult result = sql.executeSql(statement);
                rows.clear();
                try (CloseableIterator<Row> found = result.collect()) {
                    found.forEachRemaining(rows::add);
                }
            }
        }
        return rows;
    }

    private void create(String name, String columns, String more) {
        sql.executeSql("CREATE TEMPORARY MODEL " + name + " INPUT (prompt STRING) OUTPUT (" + columns
                + ") WITH ('provider' = 'freshet', 'model' = '" + MODEL + "'" + more + ")");
    }

    /** Asks a model for two rows with the same prompt. */
    private List<Row> ask(String model, String prompt) throws Exception {
        sql.executeSql("CREATE TEMPORARY VIEW " + model + "_prompts AS SELECT * FROM (VALUES ('" + prompt + "'), ('"
                + prompt + "')) AS t(prompt)");
        return run("SELECT * FROM ML_PREDICT(TABLE " + model + "_prompts, MODEL " + model + ", DESCRIPTOR(prompt))");
    }

    private static String engine(String prompt, long tokens) {
        Prompt request = Prompt.newBuilder()
                .setId("direct")
                .setPrompt(prompt)
                .setMaxTokens(tokens)
                .setTemperature(0.0)
                .build();
        try (ServedModel served = new DirectoryModel(MODEL, "auto", 1, 0, null, "plain").load(1)) {
            OfflineServing serving = new OfflineServing(served, "direct", 1, SpeculationMode.OFF, Set.of());
            serving.submit(request, 0);
            while (true) {
                for (Completion completion : serving.step()) {
                    return completion.getText();
                }
            }
        }
    }

    @Test
    void theExampleCompletesEveryRowWithTheTextOfTheEngine() throws Exception {
        String script =
                Files.readString(ROOT.resolve("examples/sql/complete.sql")).replace("models/freshet-tiny", MODEL);
        Map<Integer, Row> rows = new HashMap<>();
        run(script).forEach(row -> rows.put((Integer) row.getField("id"), row));
        assertThat(rows).hasSize(4);
        for (Map.Entry<Integer, String> one :
                Map.of(1, "The little fox", 2, "Once upon a time").entrySet()) {
            Row row = Objects.requireNonNull(rows.get(one.getKey()));
            assertThat(row.getField("completion")).isEqualTo(engine(one.getValue(), 24));
            assertThat(row.getField("finish_reason")).isEqualTo("length");
            assertThat(row.getField("error")).isNull();
            assertThat(row.getField("completion_tokens")).isEqualTo(24L);
        }
        Row empty = Objects.requireNonNull(rows.get(4));
        assertThat(empty.getField("completion")).isNull();
        assertThat(empty.getField("error")).isEqualTo("EMPTY_PROMPT");
    }

    @Test
    void equalPromptsHaveEqualTextsWithoutASeed() throws Exception {
        create("sampled", "txt STRING", ", 'max-tokens' = '12', 'temperature' = '1.1'");
        List<Row> rows = ask("sampled", "The old man");
        assertThat(rows).hasSize(2);
        assertThat(rows.get(0)).isEqualTo(rows.get(1));
        assertThat(rows.get(0).<String>getFieldAs("txt")).isNotBlank();
    }

    @Test
    void aConversationIsRenderedByItsFormat() throws Exception {
        create(
                "chat",
                "txt STRING, prompt_tokens BIGINT",
                ", 'chat-format' = 'plain', 'system-prompt' = 'Be kind.', 'max-tokens' = '4'");
        create("bare", "txt STRING, prompt_tokens BIGINT", ", 'max-tokens' = '4'");
        assertThat((Long) ask("chat", "Who are you?").get(0).getField("prompt_tokens"))
                .isGreaterThan((Long) ask("bare", "Who are you?").get(0).getField("prompt_tokens"));
    }

    @Test
    void aWrongDefinitionIsRefusedWithItsCure() throws IOException {
        create("unknown_option", "txt STRING", ", 'max_tokens' = '4'");
        assertThatThrownBy(() -> ask("unknown_option", "x"))
                .isInstanceOf(ValidationException.class)
                .hasStackTraceContaining("max_tokens");
        create("no_text", "prompt_tokens BIGINT", "");
        assertThatThrownBy(() -> ask("no_text", "x"))
                .hasStackTraceContaining("expected one output column for the text, got 0");
        create("wrong_type", "txt STRING, completion_tokens STRING", "");
        assertThatThrownBy(() -> ask("wrong_type", "x")).hasStackTraceContaining("expected the type BIGINT");
    }
}
