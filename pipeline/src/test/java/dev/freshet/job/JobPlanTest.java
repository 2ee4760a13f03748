package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.operator.ConversationOptions;
import dev.freshet.operator.Inbound;
import dev.freshet.operator.Origin;
import dev.freshet.request.ConfigError;
import dev.freshet.schema.Prompt;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobgraph.JobVertex;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The shape of the job: who is chained to whom, and what a control topic changes. */
class JobPlanTest {

    private static JobOptions options(String... more) {
        Map<String, String> values = new HashMap<>(Map.of(
                "kafka.bootstrap.servers", "localhost:9", "model.directory", "/nowhere", "job.parallelism", "2"));
        for (int i = 0; i < more.length; i += 2) {
            values.put(more[i], more[i + 1]);
        }
        return JobOptions.of(values);
    }

    private static JobGraph plan(JobOptions options) {
        StreamExecutionEnvironment env = new StreamExecutionEnvironment(FlinkSettings.forJob(options));
        GenerateJob.define(env, options, slots -> {
            throw new IllegalStateException("nothing is loaded to plan a job");
        });
        return env.getStreamGraph().getJobGraph();
    }

    private static List<String> vertices(JobGraph graph) {
        List<String> names = new ArrayList<>();
        for (JobVertex vertex : graph.getVertices()) {
            names.add(vertex.getName());
        }
        return names;
    }

    @Test
    void withoutControlTheOperatorIsChainedToItsSource() {
        JobGraph graph = plan(options());
        assertThat(vertices(graph)).anySatisfy(name -> assertThat(name).contains("prompts", "generate"));
        Configuration settings = FlinkSettings.forJob(options());
        assertThat(settings.get(CheckpointingOptions.ENABLE_UNALIGNED)).isFalse();
    }

    @Test
    void controlRecordsReachEverySubtaskAndBarriersDoNotWaitBehindPrompts() {
        JobOptions options = options("control.topic", "control");
        JobGraph graph = plan(options);
        assertThat(vertices(graph)).noneSatisfy(name -> assertThat(name).contains("prompts", "generate"));
        assertThat(graph.getVertices())
                .filteredOn(v -> v.getName().contains("control"))
                .singleElement()
                .satisfies(v -> assertThat(v.getParallelism()).isEqualTo(1));
        Configuration settings = FlinkSettings.forJob(options);
        assertThat(settings.get(CheckpointingOptions.ENABLE_UNALIGNED)).isTrue();
    }

    @Test
    void turnsOfASessionMeetAtOneSubtask() {
        JobOptions options = options("conversations.enabled", "true", "state.backend", "rocksdb");
        JobGraph graph = plan(options);
        assertThat(vertices(graph)).noneSatisfy(name -> assertThat(name).contains("prompts", "generate"));
        Configuration settings = FlinkSettings.forJob(options);
        assertThat(settings.get(CheckpointingOptions.ENABLE_UNALIGNED)).isTrue();
        assertThat(settings.get(StateBackendOptions.STATE_BACKEND)).isEqualTo("rocksdb");
        assertThat(FlinkSettings.forJob(options()).get(StateBackendOptions.STATE_BACKEND))
                .isEqualTo("hashmap");
        assertThat(options("conversations.enabled", "true", "conversations.size", "2 gb")
                        .conversations())
                .isEqualTo(new ConversationOptions(Duration.ofDays(1), 100_000, 2L << 30, 32_768, 16));
        assertThat(options("conversations.ttl", "5 s").conversations()).isNull();
    }

    @Test
    void onlyCancellationsComeOutOfTheControlTopic() {
        ControlDeserializer control = new ControlDeserializer();
        List<Inbound> out = new ArrayList<>();
        ListCollector<Inbound> collector = new ListCollector<>(out);
        byte[] id = "r-1".getBytes(StandardCharsets.UTF_8);
        byte[] cancel = "cancel\n".getBytes(StandardCharsets.UTF_8);
        byte[] other = "delete".getBytes(StandardCharsets.UTF_8);
        control.deserialize(new ConsumerRecord<>("control", 0, 0, id, cancel), collector);
        control.deserialize(new ConsumerRecord<>("control", 0, 1, id, other), collector);
        control.deserialize(new ConsumerRecord<>("control", 0, 2, null, cancel), collector);
        control.deserialize(new ConsumerRecord<>("control", 0, 3, id, null), collector);
        control.deserialize(new ConsumerRecord<>("control", 0, 4, new byte[0], cancel), collector);
        control.deserialize(new ConsumerRecord<>("control", 0, 5, new byte[5000], cancel), collector);
        assertThat(out).containsExactly(new Inbound.Cancel("r-1"));
    }

    @Test
    void recordsOfOneSessionStayTogether() {
        RequestKey key = new RequestKey();
        Origin origin = new Origin("prompts", 1, 7, 0, null, List.of());
        Prompt prompt = new Prompt();
        assertThat(key.getKey(new Inbound.Prompt(prompt, new byte[0], origin))).isEqualTo("prompts-1-7");
        prompt.setId("r");
        assertThat(key.getKey(new Inbound.Prompt(prompt, new byte[0], origin))).isEqualTo("r");
        prompt.setSessionId("s");
        assertThat(key.getKey(new Inbound.Prompt(prompt, new byte[0], origin))).isEqualTo("s");
    }

    @Test
    void policiesAndTheBlackBoxAreOptions() {
        assertThat(options().checkpoints().inFlight().name()).isEqualTo("STATE");
        assertThat(options("checkpoint.inflight", "auto")
                        .checkpoints()
                        .inFlight()
                        .name())
                .isEqualTo("AUTO");
        assertThat(options("engine.black-box", "/box").engine().blackBox()).isEqualTo("/box");
        assertThat(options().engine().blackBox()).isNull();
    }

    @Test
    void theFileMayStandAloneBeforeTheKeysOnTopOfIt(@TempDir Path directory) throws IOException {
        String file = Files.writeString(directory.resolve("job.yaml"), "engine: {slots: 3, queue: 9}\n")
                .toString();
        Map<String, String> expected = Map.of("engine.slots", "4", "engine.queue", "9");
        assertThat(GenerateJob.values(new String[] {file, "--engine.slots", "4"}, Map.of()))
                .isEqualTo(expected);
        assertThat(GenerateJob.values(new String[] {"--config", file, "--engine.slots", "4"}, Map.of()))
                .isEqualTo(expected);
        assertThatThrownBy(() -> GenerateJob.values(new String[] {file, "engine.slots=4"}, Map.of()))
                .isInstanceOf(ConfigError.class)
                .hasMessageContaining("got engine.slots=4");
    }
}
