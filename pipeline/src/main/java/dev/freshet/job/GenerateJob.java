package dev.freshet.job;

import dev.freshet.operator.DirectoryModel;
import dev.freshet.operator.GenerateOperatorFactory;
import dev.freshet.operator.Inbound;
import dev.freshet.operator.ModelLoader;
import dev.freshet.operator.OperatorOptions;
import dev.freshet.operator.Outbound;
import dev.freshet.operator.RecordTypes;
import dev.freshet.request.ConfigError;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaSinkBuilder;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceBuilder;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;

/**
 * The streaming job: prompts from a topic through the generate operator to completions and dead letters, in one transaction, with
 * chunks and metrics beside. Main class for {@code flink run}.
 */
public final class GenerateJob {

    static final String OPERATOR_UID = "generate";

    private GenerateJob() {}

    /**
     * Runs the job on the cluster that submits it: a configuration file, alone or as {@code --config FILE}, then any
     * {@code --key value} of the options on top. A savepoint that the cluster is told to start from ({@code flink run -s}, an
     * upgrade by the Kubernetes operator) goes before {@code checkpoint.resume}.
     *
     * @throws ConfigError when the options are wrong or the broker cannot keep the promises
     */
    public static void main(String[] arguments) throws Exception {
        JobOptions options = JobOptions.of(values(arguments, System.getenv()));
        Preflight.run(options);
        ReadableConfig cluster =
                StreamExecutionEnvironment.getExecutionEnvironment().getConfiguration();
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.getExecutionEnvironment(FlinkSettings.forStart(options, cluster));
        define(env, options, model(options));
        env.execute(options.name());
    }

    static Map<String, String> values(String[] arguments, Map<String, String> environment) {
        Map<String, String> given = new LinkedHashMap<>();
        // Flink's entry point of application mode takes --config for its own --configDir and keeps it; a name alone
        // passes.
        int pairs = arguments.length > 0 && !arguments[0].startsWith("--") ? 1 : 0;
        if (pairs == 1) {
            given.put("config", arguments[0]);
        }
        for (int i = pairs; i < arguments.length; i += 2) {
            if (!arguments[i].startsWith("--") || i + 1 == arguments.length) {
                throw new ConfigError("Cannot read the arguments: expected a file, then pairs of --key and value, got "
                        + arguments[i] + ". Write FILE or --config FILE, and --key value for an option.");
            }
            given.put(arguments[i].substring(2), arguments[i + 1]);
        }
        String file = given.remove("config");
        return file == null ? given : JobOptions.overlay(ConfigFile.read(Path.of(file), environment), given);
    }

    /** Returns the loader of the model that the options name. */
    public static ModelLoader model(JobOptions options) {
        JobOptions.ModelOptions model = options.model();
        return new DirectoryModel(
                model.directory().toString(),
                model.kernels(),
                model.threads(),
                model.context(),
                model.weights(),
                model.chatFormat());
    }

    /** Adds the job to an environment. */
    public static void define(StreamExecutionEnvironment env, JobOptions options, ModelLoader model) {
        define(env, options, model, outcomeSink(options));
    }

    static void define(
            StreamExecutionEnvironment env, JobOptions options, ModelLoader model, Sink<Outbound> outcomeSink) {
        SingleOutputStreamOperator<Outbound> outcomes = requests(env, options)
                .transform(
                        "generate",
                        RecordTypes.OUTBOUND,
                        new GenerateOperatorFactory(
                                operator(options), model, options.input().bounded()))
                .uid(OPERATOR_UID);
        // The union with control records is no keyed stream; the operator looks sessions up by itself.
        OneInputTransformation<?, ?> generate = (OneInputTransformation<?, ?>) outcomes.getTransformation();
        generate.setStateKeySelector(key());
        generate.setStateKeyType(Types.STRING);
        outcomes.sinkTo(outcomeSink).uid("completions").name("completions");
        JobOptions.Target chunks = options.output().chunks();
        if (chunks != null) {
            outcomes.getSideOutput(RecordTypes.CHUNKS)
                    .sinkTo(sideSink(options, new ChunkRecords(options, chunks)))
                    .uid("chunks")
                    .name("chunks");
        }
        JobOptions.Target metrics = options.output().metrics();
        if (metrics != null) {
            outcomes.getSideOutput(RecordTypes.METRICS)
                    .sinkTo(sideSink(options, new MetricRecords(metrics)))
                    .uid("metrics")
                    .name("metrics");
        }
    }

    @SuppressWarnings("unchecked")
    private static <T> KeySelector<T, ?> key() {
        return (KeySelector<T, ?>) (KeySelector<?, ?>) new RequestKey();
    }

    /**
     * Prompts, chained to the operator that serves them. With conversations they are spread over the subtasks by session, else by
     * request, and with a control topic too, since its records go to all of them.
     */
    private static DataStream<Inbound> requests(StreamExecutionEnvironment env, JobOptions options) {
        JobOptions.Input input = options.input();
        SingleOutputStreamOperator<Inbound> prompts = env.fromSource(
                        source(options, input.topic(), new PromptDeserializer(input.format())),
                        WatermarkStrategy.noWatermarks(),
                        "prompts",
                        RecordTypes.INBOUND)
                .uid("prompts");
        if (!options.spreads()) {
            return prompts;
        }
        DataStream<Inbound> spread = prompts.keyBy(new RequestKey());
        if (input.control() == null) {
            return spread;
        }
        SingleOutputStreamOperator<Inbound> control = env.fromSource(
                        source(options, input.control(), new ControlDeserializer()),
                        WatermarkStrategy.noWatermarks(),
                        "control",
                        RecordTypes.INBOUND)
                .uid("control")
                .setParallelism(1);
        return spread.union(control.broadcast());
    }

    /** What the options tell the operator. */
    static OperatorOptions operator(JobOptions options) {
        return new OperatorOptions(
                options.name(),
                options.engine().slots(),
                options.engine().queue(),
                options.engine().prefillTokens(),
                options.model().speculation(),
                options.output().metricsInterval(),
                options.checkpoints().interval(),
                options.checkpoints().inFlight(),
                options.engine().recentIds(),
                options.model().allowChange(),
                options.limits().promptBytes(),
                options.limits().promptTokens(),
                options.limits().maxTokens(),
                false,
                options.engine().blackBox(),
                new HashSet<>(options.model().names()),
                options.conversations());
    }

    private static Source<Inbound, ?, ?> source(
            JobOptions options, String topic, KafkaRecordDeserializationSchema<Inbound> records) {
        JobOptions.Input input = options.input();
        KafkaSourceBuilder<Inbound> builder = KafkaSource.<Inbound>builder()
                .setProperties(client(options))
                .setBootstrapServers(bootstrap(options))
                .setTopics(topic)
                .setGroupId(input.group())
                .setClientIdPrefix(options.name())
                .setStartingOffsets(
                        switch (input.start()) {
                            case COMMITTED -> OffsetsInitializer.committedOffsets(OffsetResetStrategy.EARLIEST);
                            case EARLIEST -> OffsetsInitializer.earliest();
                            case LATEST -> OffsetsInitializer.latest();
                        })
                .setDeserializer(records);
        if (!options.kafka().containsKey("isolation.level")) {
            builder.setProperty("isolation.level", "read_committed");
        }
        return input.bounded()
                ? new BoundedSource<>(
                        builder.setBounded(OffsetsInitializer.latest()).build())
                : builder.build();
    }

    private static Sink<Outbound> outcomeSink(JobOptions options) {
        OutcomeRecords records = new OutcomeRecords(options, version());
        KafkaSinkBuilder<Outbound> builder = outcomes(options, records);
        if (!options.delivery().exactlyOnce()) {
            return builder.setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE).build();
        }
        return new OutcomeSink(
                transactional(builder, options),
                Transactions.prefix(options.name()),
                options.kafka(),
                records.topics(),
                options.output().deadLetters(),
                new JobLease.Place(options.name(), options.input().topic()));
    }

    /** The stock exactly-once sink. */
    static KafkaSink<Outbound> transactional(KafkaSinkBuilder<Outbound> builder, JobOptions options) {
        return builder.setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
                .setTransactionalIdPrefix(Transactions.prefix(options.name()))
                .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
                .setProperty(
                        "transaction.timeout.ms",
                        String.valueOf(options.delivery().transactionTimeout().toMillis()))
                .build();
    }

    static KafkaSinkBuilder<Outbound> outcomes(JobOptions options, OutcomeRecords records) {
        return KafkaSink.<Outbound>builder()
                .setKafkaProducerConfig(client(options))
                .setBootstrapServers(bootstrap(options))
                .setRecordSerializer(records);
    }

    private static <T> KafkaSink<T> sideSink(JobOptions options, KafkaRecordSerializationSchema<T> records) {
        return KafkaSink.<T>builder()
                .setKafkaProducerConfig(client(options))
                .setBootstrapServers(bootstrap(options))
                .setRecordSerializer(records)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .build();
    }

    private static Properties client(JobOptions options) {
        Properties properties = new Properties();
        properties.putAll(options.kafka());
        return properties;
    }

    private static String bootstrap(JobOptions options) {
        return options.kafka().getOrDefault("bootstrap.servers", "");
    }

    /** Version of the jar that runs. */
    static String version() {
        String version = GenerateJob.class.getPackage().getImplementationVersion();
        return version == null ? "development" : version;
    }
}
