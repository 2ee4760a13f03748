package dev.freshet.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Probes a started cluster from outside: what an attacker who reaches its port could do. */
class PostureITCase {

    private static final HttpClient HTTP = HttpClient.newHttpClient();

    @SuppressWarnings("NullAway.Init") // Started before any test.
    private static LocalCluster cluster;

    @SuppressWarnings("NullAway.Init") // Made before any test.
    private static Configuration settings;

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        JobOptions options = JobOptions.of(Map.of("kafka.bootstrap.servers", "localhost:1", "model.directory", "none"));
        settings = FlinkSettings.forLocalCluster(FlinkSettings.forJob(options), 0, directory);
        cluster = LocalCluster.start(settings, 1);
        // For a moment after its start a cluster answers everything with 503: its leader is not known yet.
        Instant end = Instant.now().plusSeconds(30);
        while (send("GET", "/overview").statusCode() == 503 && Instant.now().isBefore(end)) {
            Thread.sleep(20);
        }
    }

    @AfterAll
    static void stop() throws Exception {
        cluster.close();
    }

    private static HttpResponse<String> send(String method, String path) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(cluster.dashboard().resolve(path))
                .method(method, HttpRequest.BodyPublishers.ofString("{}"))
                .header("Content-Type", "application/json")
                .header("Origin", "http://evil.example")
                .build();
        return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    }

    @Test
    void nobodyCanUploadOrRunAJar() throws Exception {
        assertThat(send("POST", "/jars/upload").statusCode()).isEqualTo(404);
        assertThat(send("GET", "/jars").statusCode()).isEqualTo(404);
        assertThat(send("POST", "/jars/x.jar/run").statusCode()).isEqualTo(404);
    }

    @Test
    void theDashboardOffersNoChange() throws Exception {
        assertThat(send("GET", "/config").body())
                .contains("\"web-submit\":false", "\"web-cancel\":false", "\"web-rescale\":false");
    }

    @Test
    void noOtherSiteMayReadTheAnswers() throws Exception {
        HttpResponse<String> answer = send("GET", "/overview");
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.headers().firstValue("Access-Control-Allow-Origin").orElse(""))
                .isNotEqualTo("*")
                .doesNotContain("evil");
    }

    @Test
    void onlyThisMachineReachesThePort() throws Exception {
        URI dashboard = cluster.dashboard();
        assertThat(InetAddress.getByName(dashboard.getHost()).isLoopbackAddress())
                .isTrue();
        List<InetAddress> others = new ArrayList<>();
        for (NetworkInterface card : Collections.list(NetworkInterface.getNetworkInterfaces())) {
            Collections.list(card.getInetAddresses()).stream()
                    .filter(address -> address instanceof Inet4Address && !address.isLoopbackAddress())
                    .forEach(others::add);
        }
        for (InetAddress other : others) {
            try (Socket socket = new Socket()) {
                assertThatThrownBy(() -> socket.connect(new InetSocketAddress(other, dashboard.getPort()), 2000))
                        .isInstanceOf(java.io.IOException.class);
            }
        }
    }

    @Test
    void settingsKeepThePromisesOfTheDesign() {
        Map<String, String> s = settings.toMap();
        assertThat(s)
                .containsEntry("pipeline.generic-types", "false")
                .containsEntry("rest.bind-address", "localhost")
                .containsEntry("jobmanager.bind-host", "localhost")
                .containsEntry("taskmanager.bind-host", "localhost")
                .containsEntry("rest.profiling.enabled", "false")
                .containsEntry("taskmanager.jvm-exit-on-oom", "true")
                .containsEntry("execution.checkpointing.num-retained", "3")
                .doesNotContainKey("metrics.reporter.jmx.factory.class");
    }
}
