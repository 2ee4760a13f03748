package dev.freshet.dist;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.List;
import java.util.jar.JarFile;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;

/** What the job jar holds, and what it must leave to the cluster. */
class JobJarTest {

    private static List<String> entries() throws IOException {
        try (JarFile jar = new JarFile(Deployed.JOB_JAR.toFile())) {
            return jar.stream().map(ZipEntry::getName).toList();
        }
    }

    private static boolean isClassOf(String entry, String... packages) {
        return entry.endsWith(".class") && List.of(packages).stream().anyMatch(entry::startsWith);
    }

    @Test
    void itHoldsTheJobAndWhatAClusterDoesNotBring() throws IOException {
        assertThat(entries())
                .contains(
                        "dev/freshet/job/GenerateJob.class",
                        "dev/freshet/cuda/CudaProvider.class",
                        "org/apache/flink/connector/kafka/sink/KafkaSink.class",
                        "org/apache/kafka/clients/producer/KafkaProducer.class",
                        "org/apache/avro/Schema.class",
                        "META-INF/services/dev.freshet.kernel.KernelsProvider");
    }

    @Test
    void aNativeLibraryOfAGpuIsNeverLoadedTwice() throws IOException {
        assertThat(entries()).noneMatch(entry -> entry.startsWith("jcuda/") || entry.contains("JCuda"));
    }

    @Test
    void itHoldsNoFlinkNoLoggingNoBrokerAndNoCommandLine() throws IOException {
        assertThat(entries())
                .noneMatch(entry -> isClassOf(
                        entry,
                        "org/apache/flink/runtime/",
                        "org/apache/flink/streaming/api/",
                        "org/apache/flink/core/",
                        "org/apache/logging/",
                        "org/slf4j/",
                        "scala/",
                        "kafka/",
                        "picocli/",
                        "dev/freshet/cli/"))
                .noneMatch(entry -> entry.startsWith("log4j2"));
    }

    @Test
    void itNamesItsMainClassAndVersion() throws IOException {
        try (JarFile jar = new JarFile(Deployed.JOB_JAR.toFile())) {
            var attributes = jar.getManifest().getMainAttributes();
            assertThat(attributes.getValue("Main-Class")).isEqualTo("dev.freshet.job.GenerateJob");
            assertThat(attributes.getValue("Implementation-Version")).isNotBlank();
        }
    }
}
