package dev.freshet.harness;

import dev.freshet.job.EmbeddedKafka;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;

/**
 * One broker for all tests of this process that need no settings of their own, for its start takes seconds: started at its first
 * use, stopped with the process. Tests must name their topics and jobs after themselves.
 */
public final class SharedKafka {

    private SharedKafka() {}

    private static final class Holder {
        static final EmbeddedKafka KAFKA = start();

        private static EmbeddedKafka start() {
            try {
                EmbeddedKafka kafka = EmbeddedKafka.start(Files.createTempDirectory("freshet-tests-"));
                Runtime.getRuntime().addShutdownHook(new Thread(kafka::close, "shared-kafka"));
                return kafka;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /** Returns the broker's address for clients. */
    public static String bootstrapServers() {
        return Holder.KAFKA.bootstrapServers();
    }
}
