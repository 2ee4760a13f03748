package dev.freshet.job;

import dev.freshet.harness.JavaProcess;
import dev.freshet.harness.KafkaProxy;
import java.io.IOException;
import java.io.Writer;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A real broker in a process of its own, behind a proxy, that can be killed and started again over its records. */
final class BrokerProcess implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(BrokerProcess.class);

    private final Path directory;
    private final KafkaProxy proxy = new KafkaProxy();
    private JavaProcess process;

    BrokerProcess(Path directory) throws Exception {
        this.directory = directory;
        int port = freePort();
        int controller = freePort();
        proxy.target(port);
        Path records = Files.createDirectory(directory.resolve("kafka"));
        EmbeddedKafka.format(records, controller);
        Properties properties = EmbeddedKafka.properties(records, port, controller);
        properties.put("advertised.listeners", "PLAINTEXT://127.0.0.1:" + proxy.port());
        properties.put("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000");
        try (Writer out = Files.newBufferedWriter(directory.resolve("server.properties"))) {
            properties.store(out, null);
        }
        process = launch();
    }

    static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private JavaProcess launch() throws IOException {
        return JavaProcess.start(
                "broker",
                directory,
                List.of("-Xmx300m"),
                "kafka.Kafka",
                List.of(directory.resolve("server.properties").toString()));
    }

    KafkaProxy proxy() {
        return proxy;
    }

    String bootstrapServers() {
        return "127.0.0.1:" + proxy.port();
    }

    /** Returns when the broker answers. */
    void await() throws InterruptedException {
        long start = System.nanoTime();
        while (System.nanoTime() - start < TimeUnit.MINUTES.toNanos(2)) {
            try (Admin admin = Admin.create(Map.of(
                    "bootstrap.servers",
                    bootstrapServers(),
                    "default.api.timeout.ms",
                    "5000",
                    "request.timeout.ms",
                    "4000"))) {
                admin.listTopics().names().get(5, TimeUnit.SECONDS);
                LOG.info("The broker answers after {} ms", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
                return;
            } catch (ExecutionException | TimeoutException e) {
                if (!process.isAlive()) {
                    throw new IllegalStateException("The broker has ended; see " + process.log(), e);
                }
            }
        }
        throw new IllegalStateException("The broker does not answer; see " + process.log());
    }

    /**
     * Has the broker give up the open transactions of a job, as it does when their time is over.
     *
     * @return how many there were
     */
    int abortTransactions(String job) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrapServers()))) {
            List<String> open = admin
                    .listTransactions(new ListTransactionsOptions().filterStates(List.of(TransactionState.ONGOING)))
                    .all()
                    .get()
                    .stream()
                    .map(TransactionListing::transactionalId)
                    .filter(id -> id.startsWith(Transactions.prefix(job)))
                    .toList();
            if (!open.isEmpty()) {
                admin.fenceProducers(open).all().get();
            }
            return open.size();
        }
    }

    /** Kills it and starts it again. */
    void restart() throws IOException, InterruptedException {
        process.kill();
        process = launch();
        await();
    }

    @Override
    public void close() throws InterruptedException {
        process.close();
        proxy.close();
    }
}
