package dev.freshet.job;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Stream;
import kafka.server.BrokerServer;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.storage.Formatter;
import org.apache.kafka.raft.DynamicVoters;
import scala.Option;

/**
 * A real Kafka broker in this process, for the demo and for tests: one node that is broker and KRaft controller, loopback only,
 * on ports that the operating system chooses, over a directory of its own that is deleted at the end. Its records never expire.
 */
public final class EmbeddedKafka implements AutoCloseable {

    private static final String LISTENER = "PLAINTEXT";

    private final KafkaRaftServer server;
    private final int port;
    private final Path directory;

    private EmbeddedKafka(KafkaRaftServer server, int port, Path directory) {
        this.server = server;
        this.port = port;
        this.directory = directory;
    }

    /**
     * Starts a broker and returns when it answers.
     *
     * @param parent existing directory under which the broker makes its own
     * @throws IOException when the directory cannot be written
     */
    public static EmbeddedKafka start(Path parent) throws IOException {
        return start(parent, Map.of());
    }

    /** Starts a broker with some of its properties replaced. */
    static EmbeddedKafka start(Path parent, Map<String, String> replaced) throws IOException {
        Path directory = Files.createTempDirectory(parent, "kafka-");
        try {
            format(directory, 0);
            Properties properties = properties(directory, 0, 0);
            properties.putAll(replaced);
            KafkaRaftServer server = new KafkaRaftServer(KafkaConfig.fromProps(properties), Time.SYSTEM);
            server.startup();
            return new EmbeddedKafka(server, boundPort(server), directory);
        } catch (Exception e) {
            delete(directory);
            throw new IOException("Cannot start the embedded Kafka broker in " + directory + ": " + e, e);
        }
    }

    /** Address for clients. */
    public String bootstrapServers() {
        return "127.0.0.1:" + port;
    }

    /** Port on which the broker itself listens. */
    int port() {
        return port;
    }

    /** Stops the broker and deletes its records. */
    @Override
    public void close() {
        server.shutdown();
        server.awaitShutdown();
        delete(directory);
    }

    /** Prepares an empty directory for a broker whose controller listens on a port. */
    static void format(Path directory, int controllerPort) throws Exception {
        new Formatter()
                .setPrintStream(new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8))
                .setClusterId(Uuid.randomUuid().toString())
                .setNodeId(1)
                .setControllerListenerName("CONTROLLER")
                .setMetadataLogDirectory(directory.toString())
                .addDirectory(directory.toString())
                .setHasDynamicQuorum(true)
                .setInitialControllers(DynamicVoters.parse("1@127.0.0.1:" + controllerPort + ":" + Uuid.randomUuid()))
                .run();
    }

    /** The properties of such a broker; port 0 lets the operating system choose. */
    static Properties properties(Path directory, int port, int controllerPort) {
        Properties p = new Properties();
        p.put("process.roles", "broker,controller");
        p.put("node.id", "1");
        p.put("listeners", LISTENER + "://127.0.0.1:" + port + ",CONTROLLER://127.0.0.1:" + controllerPort);
        p.put("listener.security.protocol.map", LISTENER + ":PLAINTEXT,CONTROLLER:PLAINTEXT");
        p.put("controller.listener.names", "CONTROLLER");
        p.put("inter.broker.listener.name", LISTENER);
        // The broker insists on an address here, but the only controller is itself and is found without it.
        p.put("controller.quorum.bootstrap.servers", "127.0.0.1:" + (controllerPort == 0 ? 9093 : controllerPort));
        p.put("log.dirs", directory.toString());
        // A record with an old timestamp would otherwise be deleted half a minute after the start.
        p.put("log.retention.ms", "-1");
        p.put("log.cleaner.threads", "1");
        p.put("log.cleaner.dedupe.buffer.size", "4194304");
        p.put("auto.create.topics.enable", "false");
        for (String topic : new String[] {"offsets.topic", "transaction.state.log", "share.coordinator.state.topic"}) {
            p.put(topic + ".replication.factor", "1");
            p.put(topic + ".num.partitions", "2");
        }
        p.put("transaction.state.log.min.isr", "1");
        p.put("share.coordinator.state.topic.min.isr", "1");
        p.put("transaction.max.timeout.ms", "86400000");
        p.put("group.initial.rebalance.delay.ms", "0");
        p.put("num.network.threads", "1");
        p.put("num.io.threads", "2");
        p.put("num.recovery.threads.per.data.dir", "1");
        p.put("background.threads", "2");
        p.put("controlled.shutdown.enable", "false");
        return p;
    }

    /** The server does not tell the port that it was given, so the broker behind it is asked. */
    @SuppressWarnings("unchecked")
    private static int boundPort(KafkaRaftServer server) throws ReflectiveOperationException {
        Field broker = KafkaRaftServer.class.getDeclaredField("broker");
        broker.setAccessible(true);
        return ((Option<BrokerServer>) broker.get(server)).get().boundPort(new ListenerName(LISTENER));
    }

    private static void delete(Path directory) {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot delete the embedded broker's records in " + directory, e);
        }
    }
}
